//! `strace -f -yy` read into events: what was done to which path, and what was said to and heard from a server.
//!
//! A call that other threads interrupt has a beginning and an end of its own; both are line numbers of the trace. Calls
//! that failed are left out. Paths are those the kernel told at the time of the call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The calls that are traced.
pub const CALLS: &str = "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,\
                         unlinkat,rmdir,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,copy_file_range,\
                         sendfile,fsync,fdatasync,syncfs,sync,sendto,sendmsg,read,recvfrom,recvmsg,mmap";

#[derive(Debug, Clone)]
pub struct Event {
    /// When it began, and when it had ended.
    pub start: usize,
    pub end: usize,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Made(PathBuf),
    MadeDirectory(PathBuf),
    /// Octets of a file: written at an offset, where that is known.
    Wrote(PathBuf, Option<u64>, Vec<u8>),
    Cut(PathBuf, u64),
    Renamed(PathBuf, PathBuf),
    Linked(PathBuf, PathBuf),
    Removed(PathBuf),
    /// A file's data, or a directory's names.
    Flushed(PathBuf),
    /// All of a file system.
    FlushedAll,
    Said(String),
    Heard(String),
}

/// All that succeeded, in the order it began.
pub fn parse(text: &str) -> Vec<Event> {
    let mut begun: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut events = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, (number, head.to_owned()));
            continue;
        }
        let (start, call) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let tail = resumed.split_once(" resumed>").map(|(_, tail)| tail).unwrap_or_default();
                let (start, head) = begun.remove(pid).unwrap_or_else(|| panic!("nothing to resume: {line}"));
                (start, format!("{head}{tail}"))
            }
            None => (number, rest.to_owned()),
        };
        if let Some(act) = act(&call) {
            events.push(Event { start, end: number, act });
        }
    }
    events.sort_by_key(|event| event.start);
    events
}

/// One call, whole: `name(arguments) = result`.
fn act(call: &str) -> Option<Act> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = arguments(rest)?;
    let done: i64 = result.split(['<', ' ']).next()?.parse().ok()?;
    if done < 0 {
        return None;
    }
    let at = |n: usize| arguments.get(n).map(String::as_str).unwrap_or_default();
    let text = |n: usize| string(at(n));
    let path = |n: usize| PathBuf::from(String::from_utf8_lossy(&text(n)).into_owned());
    let below = |dir: usize, name: usize| directory(at(dir)).join(path(name));
    let made = |flags: &str, path: PathBuf| match (flags.contains("O_CREAT"), flags.contains("O_TRUNC")) {
        (true, _) => Some(Act::Made(path)),
        (false, true) => Some(Act::Cut(path, 0)),
        (false, false) => None,
    };
    match name {
        "open" => made(at(1), path(0)),
        "openat" => made(at(2), below(0, 1)),
        "mkdir" => Some(Act::MadeDirectory(path(0))),
        "mkdirat" => Some(Act::MadeDirectory(below(0, 1))),
        "rename" => Some(Act::Renamed(path(0), path(1))),
        "renameat" | "renameat2" => Some(Act::Renamed(below(0, 1), below(2, 3))),
        "link" => Some(Act::Linked(path(0), path(1))),
        "linkat" => Some(Act::Linked(below(0, 1), below(2, 3))),
        "unlink" | "rmdir" => Some(Act::Removed(path(0))),
        "unlinkat" => Some(Act::Removed(below(0, 1))),
        "fsync" | "fdatasync" => {
            Some(Act::Flushed(file(at(0)).unwrap_or_else(|| panic!("what is flushed is not understood: {call}"))))
        }
        "sync" | "syncfs" => Some(Act::FlushedAll),
        "ftruncate" => Some(Act::Cut(file(at(0))?, at(1).parse().ok()?)),
        "write" | "pwrite64" | "sendto" => {
            let mut octets = text(1);
            octets.truncate(done as usize);
            match (file(at(0)), is_socket(at(0))) {
                (Some(path), _) => {
                    let offset = if name == "pwrite64" { at(3).parse().ok() } else { None };
                    Some(Act::Wrote(path, offset, octets))
                }
                (None, true) => Some(Act::Said(String::from_utf8_lossy(&octets).into_owned())),
                (None, false) => None,
            }
        }
        "read" | "recvfrom" => is_socket(at(0)).then(|| Act::Heard(String::from_utf8_lossy(&text(1)).into_owned())),
        // Memory that is written behind the trace's back.
        "mmap" => {
            let shared = at(2).contains("PROT_WRITE") && at(3).contains("MAP_SHARED");
            let path = file(at(4)).filter(|path| shared && !path.to_string_lossy().ends_with("-shm"));
            assert!(path.is_none(), "a file is written through memory, which the trace does not show: {call}");
            None
        }
        // None of these is used on files now; one that is has to be understood first.
        _ => match file(at(0)) {
            Some(path) => panic!("`{name}` on {} is not understood: {call}", path.display()),
            None => {
                assert!(!(name == "sendmsg" || name == "recvmsg") || !is_socket(at(0)), "not understood: {call}");
                None
            }
        },
    }
}

/// Splits `a, b, c) = result` into arguments and result.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut all, mut one) = (Vec::new(), String::new());
    let (mut quoted, mut escaped, mut decorated, mut depth) = (false, false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !decorated => quoted = !quoted,
            _ if quoted => {}
            // What a descriptor is: a path, with whatever is in it, or `TCP:[…->…]`.
            '>' if decorated => decorated = one.ends_with('-'),
            _ if decorated => {}
            '<' => decorated = true,
            '[' | '{' | '(' => depth += 1,
            ')' if depth == 0 => {
                all.push(one);
                let result = text.get(at + 1..)?.trim_start().strip_prefix("= ")?;
                return Some((all, result));
            }
            ']' | '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            ' ' if one.is_empty() => continue,
            _ => {}
        }
        one.push(c);
    }
    None
}

/// What stands in `3<…>`.
fn decoration(argument: &str) -> Option<&str> {
    let (number, rest) = argument.split_once('<')?;
    let is_descriptor = number == "AT_FDCWD" || number.bytes().all(|b| b.is_ascii_digit());
    rest.rfind('>').filter(|_| is_descriptor).and_then(|end| rest.get(..end))
}

fn file(argument: &str) -> Option<PathBuf> {
    let path = decoration(argument).filter(|path| path.starts_with('/'))?;
    // A device: `/dev/null<char 1:3>`.
    (!path.contains('<')).then(|| PathBuf::from(path))
}

fn directory(argument: &str) -> PathBuf {
    file(argument).unwrap_or_default()
}

fn is_socket(argument: &str) -> bool {
    decoration(argument).is_some_and(|what| what.starts_with("TCP") || what.starts_with("socket"))
}

/// A quoted string's octets.
fn string(argument: &str) -> Vec<u8> {
    let Some((inner, after)) = argument.strip_prefix('"').and_then(|rest| rest.rsplit_once('"')) else {
        return Vec::new();
    };
    assert!(after.is_empty(), "the trace cuts strings: {argument}");
    let (mut octets, mut bytes) = (Vec::new(), inner.bytes().peekable());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            octets.push(byte);
            continue;
        }
        let escape = bytes.next().unwrap();
        octets.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    match bytes.next_if(|b| (b'0'..=b'7').contains(b)) {
                        Some(digit) => value = value * 8 + u32::from(digit - b'0'),
                        None => break,
                    }
                }
                value as u8
            }
            other => other,
        });
    }
    octets
}

/// The file's place in a tree: whether it stands in `cur` or `new`.
pub fn is_message(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|dir| dir == "cur" || dir == "new")
}

#[test]
fn a_trace_is_read() {
    let text = r#"17 openat(5</t/tmp>, "a\"b, (c)", O_RDWR|O_CREAT|O_EXCL, 0600) = 6</t/tmp/a"b, (c)>
17 write(6</t/tmp/a>, "x\r\n\0\1778\"", 7) = 7
18 fsync(7</t/cur,S=1> <unfinished ...>
17 renameat2(5</t/tmp>, "a", 7</t/cur>, "b:2,S", RENAME_NOREPLACE) = 0
18 <... fsync resumed>)             = 0
17 sendto(4<TCP:[127.0.0.1:1->127.0.0.1:2]>, "A1 NOOP\r\n", 9, MSG_NOSIGNAL, NULL, 0) = 9
17 recvfrom(4<TCP:[127.0.0.1:1->127.0.0.1:2]>, "A1 OK\r\n", 4096, 0, NULL, NULL) = 7
17 unlinkat(7</t/cur>, "gone", 0) = -1 ENOENT (No such file or directory)
17 pwrite64(3</s/a.sqlite-wal>, "ab", 2, 4096) = 2
17 +++ exited with 0 +++"#;
    let events: Vec<(usize, usize, Act)> = parse(text).into_iter().map(|e| (e.start, e.end, e.act)).collect();
    let path = PathBuf::from;
    assert_eq!(
        events,
        [
            (0, 0, Act::Made(path("/t/tmp/a\"b, (c)"))),
            (1, 1, Act::Wrote(path("/t/tmp/a"), None, b"x\r\n\0\x7f8\"".to_vec())),
            (2, 4, Act::Flushed(path("/t/cur,S=1"))),
            (3, 3, Act::Renamed(path("/t/tmp/a"), path("/t/cur/b:2,S"))),
            (5, 5, Act::Said("A1 NOOP\r\n".into())),
            (6, 6, Act::Heard("A1 OK\r\n".into())),
            (8, 8, Act::Wrote(path("/s/a.sqlite-wal"), Some(4096), b"ab".to_vec())),
        ]
    );
}
