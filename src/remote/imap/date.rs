//! INTERNALDATE (RFC 3501 §9 `date-time`): `17-Jul-1996 02:44:25 -0700` ⇄ seconds since 1970.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::mail::UnixSeconds;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads a date as servers write it: day with a blank or one digit, month in any case, zone as `±hhmm`, a letter code
/// or missing (both then UTC), leap seconds. `None` for what is no date.
pub fn parse(text: &[u8]) -> Option<UnixSeconds> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let mut date = words.next()?.split('-');
    let (day, month, year) = (date.next()?.parse().ok()?, date.next()?, date.next()?.parse().ok()?);
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    let local = DateTime::new(year, i8::try_from(month).ok()? + 1, day, hour, minute, second.min(59), 0).ok()?;
    let utc = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some(UnixSeconds(utc - words.next().and_then(offset).unwrap_or(0)))
}

/// Seconds east of Greenwich; `None` for what no clock shows.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let number = |digits: &str| digits.parse::<u8>().ok().map(i64::from);
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
}

/// Writes a date for APPEND, in UTC; `None` for a year that IMAP cannot write, so that the server takes its own clock.
pub fn format(at: UnixSeconds) -> Option<String> {
    let time = Timestamp::from_second(at.0).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let month = usize::try_from(time.month()).ok().and_then(|m| MONTHS.get(m - 1))?;
    let fits = (1..=9999).contains(&time.year());
    fits.then(|| {
        let (day, year, hour, minute, second) = (time.day(), time.year(), time.hour(), time.minute(), time.second());
        format!("{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_of_many_servers() {
        for (text, seconds) in [
            ("17-Jul-1996 02:44:25 -0700", 837_596_665),
            (" 7-Feb-1994 21:52:25 -0800", 760_686_745),
            ("7-feb-1994 21:52:25 -08:00", 760_686_745),
            ("01-Jan-1970 00:00:00 +0000", 0),
            ("01-Jan-1970 01:00:00 +0100", 0),
            ("01-Jan-1970 00:00:00", 0),
            ("01-Jan-1970 00:00:00 GMT", 0),
            ("01-Jan-1970 00:00:00 +018446744073709551616", 0),
            ("01-Jan-1970 00:00:00 +01-1", 0),
            ("31-Dec-1969 23:59:60 +0000", -1),
            ("31-Dec-1969 23:59 +0000", -60),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(UnixSeconds(seconds)), "{text}");
        }
        for bad in ["", "NIL", "30-Feb-2000 00:00:00 +0000", "1-x-2000 1:2:3", "1-Jan-2000", "1-Jan-2000 é", "\u{e9}"]
        {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_year_beyond_imap_is_left_to_the_server() {
        assert_eq!(format(UnixSeconds(i64::MAX)), None);
        assert_eq!(format(UnixSeconds(-62_200_000_000)), None);
    }

    proptest! {
        #[test]
        fn round_trips(seconds in -62_000_000_000i64..253_000_000_000) {
            let text = format(UnixSeconds(seconds)).unwrap();
            prop_assert_eq!(text.len(), 26);
            prop_assert_eq!(parse(text.as_bytes()), Some(UnixSeconds(seconds)));
        }

        #[test]
        fn never_panics(text in "[-0-9 :+a-zJFné]{0,30}") {
            parse(text.as_bytes());
        }
    }
}
