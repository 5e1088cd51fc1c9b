//! The lists of getmail and mpop, read as they write them.
//!
//! What is no such list, or has lost its end, is never taken for a list of few: everything it lacks would be fetched again.

use std::collections::BTreeMap;

use crate::mail::{Uidl, UnixSeconds};

/// UIDLs, and when each was first seen where the program keeps that.
pub(super) type Listed = BTreeMap<Vec<u8>, Option<UnixSeconds>>;

/// Why a file is no list, and in which line that shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub line: usize,
    pub what: What,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The line is none of such a list.
    Foreign,
    /// The line, the last, has no end.
    Cut,
    /// There are only so many lines of as many as this one promises.
    Short { there: u64, promised: u64 },
}

/// The lines with their numbers, and whether each has an end.
fn lines(octets: &[u8]) -> impl Iterator<Item = (usize, &[u8], bool)> {
    octets.split_inclusive(|b| *b == b'\n').enumerate().map(|(n, line)| match line.strip_suffix(b"\n") {
        Some(whole) => (n + 1, whole, true),
        None => (n + 1, line, false),
    })
}

/// Reads getmail's: lines of a UIDL, a NUL, and the time of first sight. Odd lines among others are passed over, as there.
pub(super) fn getmail(octets: &[u8]) -> Result<Listed, Flaw> {
    let mut listed = Listed::new();
    let (mut first_odd, mut cut) = (None, None);
    for (number, line, is_whole) in lines(octets) {
        match getmail_line(line.trim_ascii()) {
            Some((uidl, first_seen)) => drop(listed.insert(uidl, Some(first_seen))),
            None if line.trim_ascii().is_empty() => {}
            None => {
                first_odd = first_odd.or(Some(number));
                cut = (!is_whole).then_some(number);
            }
        }
    }
    match (first_odd, cut) {
        (Some(line), _) if listed.is_empty() => Err(Flaw { line, what: What::Foreign }),
        (_, Some(line)) => Err(Flaw { line, what: What::Cut }),
        (_, None) => Ok(listed),
    }
}

fn getmail_line(line: &[u8]) -> Option<(Vec<u8>, UnixSeconds)> {
    let nul = line.iter().position(|b| *b == 0)?;
    let (uidl, time) = (line.get(..nul)?, std::str::from_utf8(line.get(nul + 1..)?).ok()?);
    Some((Uidl::new(uidl)?.as_bytes().to_vec(), UnixSeconds(time.trim().parse().ok()?)))
}

/// Reads mpop's for one host and user: after ` NUMBER HOST USER` as many UIDLs, one a line; comments and empty lines
/// between such lists.
pub(super) fn mpop(octets: &[u8], host: &str, user: &str) -> Result<Listed, Flaw> {
    let mut listed = Listed::new();
    let mut list = List { line: 0, promised: 0, there: 0, is_ours: false };
    for (number, line, is_whole) in lines(octets) {
        if list.there < list.promised {
            list.there += 1;
            if let Some(uidl) = Uidl::new(line).filter(|_| list.is_ours) {
                listed.insert(uidl.as_bytes().to_vec(), None);
            }
        } else if line.starts_with(b" ") && is_whole {
            list = List::headed(number, line, host, user).ok_or(Flaw { line: number, what: What::Foreign })?;
        } else if !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b" ") {
            return Err(Flaw { line: number, what: What::Foreign });
        }
        if !is_whole {
            return Err(Flaw { line: number, what: What::Cut });
        }
    }
    let List { line, promised, there, .. } = list;
    if there < promised { Err(Flaw { line, what: What::Short { there, promised } }) } else { Ok(listed) }
}

/// One host's and user's list.
struct List {
    /// Where it begins.
    line: usize,
    promised: u64,
    there: u64,
    is_ours: bool,
}

impl List {
    fn headed(line: usize, heading: &[u8], host: &str, user: &str) -> Option<List> {
        let heading = String::from_utf8_lossy(heading.strip_prefix(b" ")?);
        let mut words = heading.splitn(3, ' ');
        let promised = words.next()?.parse().ok()?;
        let (its_host, its_user) = (words.next()?, words.next()?);
        Some(List { line, promised, there: 0, is_ours: its_host == host && its_user == user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(listed: &Listed) -> Vec<(String, Option<i64>)> {
        let text = |octets: &Vec<u8>| String::from_utf8_lossy(octets).into_owned();
        listed.iter().map(|(uidl, seen)| (text(uidl), seen.map(|seen| seen.0))).collect()
    }

    fn flaw<T>(line: usize, what: What) -> Result<T, Flaw> {
        Err(Flaw { line, what })
    }

    #[test]
    fn getmails_file_is_read_and_its_odd_lines_are_not() {
        let file = b"abc-1\x001700000000\nodd\n\x00\n\xffx\x0017\ny\x00soon\n\n";
        let listed = getmail(file).unwrap();
        assert_eq!(shown(&listed), [("abc-1".into(), Some(1_700_000_000)), ("\u{fffd}x".into(), Some(17))]);
        assert_eq!(getmail(b"").map(|listed| listed.len()), Ok(0));
        assert_eq!(getmail(b"\n\n").map(|listed| listed.len()), Ok(0));
        // Somebody has edited it: nothing is missing.
        assert_eq!(getmail(b"a\x001\nb\x002").map(|listed| listed.len()), Ok(2));
    }

    #[test]
    fn what_is_no_list_of_getmails_is_none() {
        assert_eq!(getmail(b"\nodd\nodd\n"), flaw(2, What::Foreign));
        assert_eq!(getmail(b"odd"), flaw(1, What::Foreign));
        assert_eq!(getmail(b"a\x001\nodd\nb"), flaw(3, What::Cut));
        assert_eq!(getmail(b"a\x001\nb\x00"), flaw(2, What::Cut));
    }

    #[test]
    fn mpops_file_is_read_for_one_account() {
        // As mpop 1.4.18 writes it.
        let file = b"# This file was generated by mpop version 1.4.18.\n#\n# The list of UIDs follows.\n#\n\
            \x202 127.0.0.1 other\nAAAA0001\nweird/ID 2~\n 2 127.0.0.1 me@example.org\n 9 127.0.0.1 me\n#B\n\n";
        let of =
            |host, user| shown(&mpop(file, host, user).unwrap()).into_iter().map(|(uidl, _)| uidl).collect::<Vec<_>>();
        assert_eq!(of("127.0.0.1", "other"), ["AAAA0001", "weird/ID 2~"]);
        assert_eq!(of("127.0.0.1", "me@example.org"), [" 9 127.0.0.1 me", "#B"]);
        assert_eq!(of("localhost", "other"), Vec::<String>::new());
        assert_eq!(mpop(b"", "h", "u").map(|listed| listed.len()), Ok(0));
        assert_eq!(mpop(b" 0 h u\n", "h", "u").map(|listed| listed.len()), Ok(0));
    }

    #[test]
    fn what_is_no_list_of_mpops_is_none() {
        let of = |octets: &[u8]| mpop(octets, "h", "u");
        for (file, line) in [
            (&b"junk\n"[..], 1),
            (b"junk", 1),
            (b"#\n\nu\x001\n", 3),
            (b" 1 h u\nx\ny\n", 3),
            (b" h u\n", 1),
            (b" 1 h\nx\n", 1),
            (b" 99999999999999999999 h u\nx\n", 1),
        ] {
            assert_eq!(of(file), flaw(line, What::Foreign), "{}", String::from_utf8_lossy(file));
        }
        let whole = b"# by mpop\n 2 h other\na\nb\n 2 h u\nc\nd\n";
        for end in 1..whole.len() {
            let cut = of(&whole[..end]);
            // Between two lists nothing tells that another came.
            assert_eq!(cut.is_ok(), end == 10 || end == 25, "{end}: {cut:?}");
        }
        assert_eq!(of(&whole[..whole.len() - 2]), flaw(5, What::Short { there: 1, promised: 2 }));
        assert_eq!(of(&whole[..whole.len() - 1]), flaw(7, What::Cut));
    }
}
