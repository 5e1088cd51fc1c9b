//! What the fuzz targets of `tests/fuzz` are given, in bounded time and on any compiler: recorded traffic and texts, mutated
//! by a seeded generator. Nothing may panic, what goes there and back must come back, and memory is bounded.
//!
//! The same number of a case is always the same input. `MAILTIDE_SOAK=n` tries n times as many. An input that was found
//! wanting becomes a file in `tests/fuzz/seeds`, which each run begins with.

use std::path::{Path, PathBuf};
use std::process::Command;

use fastrand::Rng;

use crate::{config, import, local, mail, remote};

/// What a target may hold at most, the corpus and the program included, in KiB.
const MEMORY_MOST: u64 = 200 << 10;
/// Set in the process that does the work, whose memory is looked at.
const CHILD: &str = "MAILTIDE_TEST_MUTATION";

/// Words that the parsers look for, and numbers at the edges.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"[",
    b"]",
    b"{0}\r\n",
    b"{3}\r\nabc",
    b"{3+}\r\nabc",
    b"~{2}\r\nab",
    b"{4294967296}\r\n",
    b"{18446744073709551615}\r\n",
    b"{-1}\r\n",
    b"{99999999999999999999}\r\n",
    b"* ",
    b"A1 OK x\r\n",
    b"A2 NO x\r\n",
    b"A1 BAD x\r\n",
    b"* BYE x\r\n",
    b"+ \r\n",
    b"NIL",
    b"UID ",
    b"FETCH (",
    b"BODY[] ",
    b"BODY[HEADER.FIELDS (MESSAGE-ID)] ",
    b"FLAGS (",
    b"\\Seen",
    b"$Forwarded",
    b"MODSEQ (1)",
    b"EXISTS",
    b"EXPUNGE",
    b"VANISHED (EARLIER) ",
    b"1:*",
    b"1:4294967295",
    b"4294967295:1",
    b"0",
    b"4294967295",
    b"4294967296",
    b"18446744073709551615",
    b"-1",
    b"[UIDVALIDITY 7]",
    b"[UIDNEXT 1]",
    b"[HIGHESTMODSEQ 0]",
    b"[COPYUID 7 1:3 5:6]",
    b"[APPENDUID 7 1]",
    b"[CLOSED]",
    b"SEARCH ",
    b"ESEARCH (TAG \"A1\") UID ALL ",
    b"LIST () \"/\" ",
    b"STATUS a (",
    b"NAMESPACE ((\"\" \"/\")) NIL NIL",
    b"17-Jul-1996 09:44:25 +0000",
    b"00-XXX-0000",
    b"+OK\r\n",
    b"-ERR\r\n",
    b"-ERR [IN-USE] x\r\n",
    b".\r\n",
    b"..\r\n",
    b".",
    b"+OK 3 300\r\n",
    b"1 100\r\n",
    b"&-",
    b"&",
    b"-",
    b"&AOk-",
    b"&2D3eAA-",
    b"&AAA-",
    b"/",
    b"..",
    b"%2F",
    b"%25",
    b"%",
    b":2,",
    b":",
    b",S=1",
    b",W=1",
    b".mailtide",
    b"cur",
    b"INBOX",
    b"inbox",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"= ",
    b"[[",
    b"]]",
    b"'''",
    b"\"\"\"",
    b"#",
    b"[accounts.a]\n",
    b"maildir = \"x\"\n",
    b"50%",
    b"14d",
    b"1e308",
];

/// Recorded traffic and texts for a target, each a file.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// An input for `target`: the seeds as they are first, then what becomes of them.
fn case(target: &str, corpus: &[Vec<u8>], number: usize) -> Vec<u8> {
    if let Some(seed) = corpus.get(number) {
        return seed.clone();
    }
    let place = target.bytes().fold(number as u64, |hash, byte| hash.rotate_left(7) ^ u64::from(byte) << 40);
    let mut rng = Rng::with_seed(place);
    let mut input = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..6) {
        mutate(&mut input, corpus, &mut rng);
    }
    // How the octets are cut, and what is done with them, is chosen by the first ones.
    if rng.bool()
        && let Some(first) = input.get_mut(rng.usize(..2))
    {
        *first = rng.u8(..);
    }
    input.truncate(1 << 16);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    let end = (at + 1 + rng.usize(..40)).min(input.len());
    match rng.u8(..10) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => input.truncate(at),
        3 => drop(input.drain(at..end)),
        4 => {
            let piece = input[at..end].to_vec();
            let times = rng.usize(1..20);
            input.splice(at..at, piece.repeat(times));
        }
        5 => {
            // The beginning of this one and the end of another.
            let other = &corpus[rng.usize(..corpus.len())];
            input.truncate(at);
            input.extend_from_slice(&other[rng.usize(..=other.len())..]);
        }
        6 => {
            let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
            if !lines.is_empty() {
                let moved = lines[rng.usize(..lines.len())].to_vec();
                input.splice(at..at, moved);
            }
        }
        7 => {
            let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number: &[u8] =
                [&b"0"[..], b"1", b"4294967295", b"4294967296", b"18446744073709551616", b"-1"][rng.usize(..6)];
            input.splice(at..at + digits, number.to_vec());
        }
        _ => {
            let word = WORDS[rng.usize(..WORDS.len())];
            let over = if rng.bool() { at } else { end };
            input.splice(at..over, word.to_vec());
        }
    }
}

/// Gives `target` so many inputs, in a process of its own.
#[track_caller]
fn try_all(target: &str, run: fn(&[u8]), cases: usize) {
    if std::env::var_os(CHILD).is_none() {
        let test = format!("tests::mutation::{target}");
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", &test, "--nocapture"]).env(CHILD, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "the test has another name: {said}");
        return;
    }
    let soak = std::env::var("MAILTIDE_SOAK").ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let corpus = corpus(target);
    assert!(corpus.len() > 1, "nothing to begin with");
    for number in 0..cases * soak {
        let input = case(target, &corpus, number);
        let outcome = std::panic::catch_unwind(|| run(&input));
        assert!(outcome.is_ok(), "`{target}`, case {number}: b\"{}\"", input.escape_ascii());
    }
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        assert!(peak.is_some_and(|kib: u64| kib < MEMORY_MOST), "`{target}` took {peak:?} KiB");
    }
}

#[test]
fn imap_server() {
    try_all("imap_server", remote::imap::fuzz::server, 20_000);
}

#[test]
fn imap_framing() {
    try_all("imap_framing", remote::imap::fuzz::framing, 10_000);
}

#[test]
fn imap_tokens() {
    try_all("imap_tokens", remote::imap::fuzz::tokens, 20_000);
}

#[test]
fn imap_fetch() {
    try_all("imap_fetch", remote::imap::fuzz::fetch, 20_000);
}

#[test]
fn imap_mailbox_name() {
    try_all("imap_mailbox_name", remote::imap::fuzz::mailbox_name, 40_000);
}

#[test]
fn pop3_server() {
    try_all("pop3_server", remote::pop3::fuzz::server, 20_000);
}

#[test]
fn pop3_replies() {
    try_all("pop3_replies", remote::pop3::fuzz::replies, 10_000);
}

#[test]
fn names() {
    try_all("names", mail::fuzz::names, 40_000);
}

#[test]
fn file_name() {
    try_all("file_name", local::fuzz::file_name, 40_000);
}

#[test]
fn directory() {
    try_all("directory", local::fuzz::directory, 40_000);
}

#[test]
fn message() {
    try_all("message", local::fuzz::message, 20_000);
}

#[test]
fn import() {
    try_all("import", import::fuzz::import, 5_000);
}

#[test]
fn configuration() {
    try_all("configuration", config::fuzz::config, 3_000);
}

#[test]
fn the_same_number_is_the_same_input_and_another_is_another() {
    let corpus = corpus("imap_server");
    let inputs = || (corpus.len()..1000).map(|number| case("imap_server", &corpus, number)).collect::<Vec<_>>();
    let mut all = inputs();
    assert_eq!(all, inputs());
    all.sort();
    all.dedup();
    assert!(all.len() > 900, "{} different ones", all.len());
}
