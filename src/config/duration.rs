//! Durations as people write them: `30s`, `5m`, `1h 30m`.

use std::time::Duration;

/// Reads a duration; a bare number is refused, because nobody can tell its unit.
///
/// # Errors
/// A sentence that says what would do.
pub fn parse(text: &str) -> Result<Duration, String> {
    let signed: Result<jiff::SignedDuration, _> = text.trim().parse();
    signed.ok().and_then(|d| Duration::try_from(d).ok()).ok_or_else(|| {
        format!("`{}` has to be a number with a unit, such as `30s`, `5m` or `1h 30m`", crate::error::safe_line(text))
    })
}

/// Reads a time that may also be told in days and weeks: `14d`, `36h`, `2w 3d`. Months and years have no length.
///
/// # Errors
/// As [`parse`].
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let span: Result<jiff::Span, _> = text.trim().parse();
    let even = jiff::SpanRelativeTo::days_are_24_hours();
    span.and_then(|span| span.to_duration(even)).ok().and_then(|d| Duration::try_from(d).ok()).ok_or_else(|| {
        let text = crate::error::safe_line(text);
        format!("`{text}` has to be numbers with units of weeks at most, such as `14d`, `36h` or `2w 3d`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["30", "", "-5s", "soon", "5 parsecs"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ages_may_be_days_and_weeks() {
        const DAY: u64 = 24 * 3600;
        for (text, seconds) in [
            ("14d", 14 * DAY),
            (" 2 w", 14 * DAY),
            ("36h", 36 * 3600),
            ("0d", 0),
            ("14d 2h", 14 * DAY + 7200),
            ("2w 3d 12h", 17 * DAY + DAY / 2),
            ("1h 30m", 5400),
        ] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["14", "d", "-1d", "99999999999999999999d", "18446744073709551615w", "1mo", "1y", "2h ago", "14d 2"]
        {
            let why = parse_age(bad).unwrap_err();
            assert!(why.contains("`14d`") && why.contains("`2w 3d`"), "{bad}: {why}");
        }
    }
}
