//! What of a traced run would be left if the power went at a moment: the names and data that were flushed, and the state.
//!
//! The strictest file system is assumed: a file's octets are there after its own flush only, a name after the flush of
//! its directory, and no rename carries anything else along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::trace::{Act, Event};

/// Files and names over the time of a run.
pub struct Disk {
    /// When a name was given to an inode, or taken away.
    names: Vec<(usize, PathBuf, Option<usize>)>,
    writes: Vec<(usize, usize)>,
    /// Beginning and end of the flushes of an inode, of a directory, of everything.
    data_flushes: Vec<(usize, usize, usize)>,
    name_flushes: Vec<(usize, usize, PathBuf)>,
    full_flushes: Vec<(usize, usize)>,
}

impl Disk {
    /// `before` are the files that were there; those of them that are `unflushed` another program has just written.
    pub fn new(events: &[Event], before: &BTreeSet<PathBuf>, unflushed: &[PathBuf]) -> Disk {
        let mut disk = Disk {
            names: Vec::new(),
            writes: Vec::new(),
            data_flushes: Vec::new(),
            name_flushes: Vec::new(),
            full_flushes: Vec::new(),
        };
        let mut now: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut inodes = 0;
        for path in before {
            inodes += 1;
            now.insert(path.clone(), inodes);
            if unflushed.contains(path) {
                disk.names.push((0, path.clone(), Some(inodes)));
                disk.writes.push((0, inodes));
            }
        }
        for event in events {
            let end = event.end;
            match &event.act {
                Act::Made(path) | Act::MadeDirectory(path) => {
                    if !now.contains_key(path) {
                        inodes += 1;
                        now.insert(path.clone(), inodes);
                        disk.names.push((end, path.clone(), Some(inodes)));
                    }
                }
                Act::Wrote(path, ..) | Act::Cut(path, _) => {
                    // One that has no name any more is nobody's loss.
                    disk.writes.extend(now.get(path).map(|inode| (end, *inode)));
                }
                Act::Renamed(from, to) => {
                    let inode = now.remove(from).unwrap_or_else(|| panic!("{} is not known", from.display()));
                    now.insert(to.clone(), inode);
                    disk.names.push((end, from.clone(), None));
                    disk.names.push((end, to.clone(), Some(inode)));
                }
                Act::Linked(from, to) => {
                    let inode = *now.get(from).unwrap_or_else(|| panic!("{} is not known", from.display()));
                    now.insert(to.clone(), inode);
                    disk.names.push((end, to.clone(), Some(inode)));
                }
                Act::Removed(path) => {
                    now.remove(path);
                    disk.names.push((end, path.clone(), None));
                }
                Act::Flushed(path) => {
                    disk.data_flushes.extend(now.get(path).map(|inode| (event.start, end, *inode)));
                    disk.name_flushes.push((event.start, end, path.clone()));
                }
                Act::FlushedAll => disk.full_flushes.push((event.start, end)),
                Act::Said(_) | Act::Heard(_) => {}
            }
        }
        disk
    }

    /// The paths whose name was changed in the run, and that it has at `moment`.
    fn named(&self, moment: usize) -> BTreeMap<&Path, usize> {
        let mut now = BTreeMap::new();
        for (_, path, inode) in self.names.iter().filter(|(end, ..)| *end < moment) {
            match inode {
                Some(inode) => drop(now.insert(path.as_path(), *inode)),
                None => drop(now.remove(path.as_path())),
            }
        }
        now
    }

    fn is_name_flushed(&self, path: &Path, changed: usize, moment: usize) -> bool {
        let covers = |start: usize, end: usize| start > changed && end < moment;
        let by_itself =
            |(start, end, dir): &(usize, usize, PathBuf)| path.parent() == Some(dir.as_path()) && covers(*start, *end);
        self.name_flushes.iter().any(by_itself) || self.full_flushes.iter().any(|(s, e)| covers(*s, *e))
    }

    fn is_data_flushed(&self, inode: usize, written: usize, moment: usize) -> bool {
        let covers = |start: usize, end: usize| start > written && end < moment;
        self.data_flushes.iter().any(|(s, e, of)| *of == inode && covers(*s, *e))
            || self.full_flushes.iter().any(|(s, e)| covers(*s, *e))
    }

    /// What the power would take at `moment`, of the paths that are `meant`.
    pub fn loses(&self, moment: usize, meant: impl Fn(&Path) -> bool) -> Vec<String> {
        let mut lost = Vec::new();
        for (changed, path, inode) in self.names.iter().filter(|(end, path, _)| *end < moment && meant(path)) {
            if !self.is_name_flushed(path, *changed, moment) {
                let what = if inode.is_some() { "the name" } else { "that there is no more" };
                lost.push(format!("{what} {}", path.display()));
            }
        }
        for (path, inode) in self.named(moment).into_iter().filter(|(path, _)| meant(path)) {
            let mut writes = self.writes.iter().filter(|(end, of)| of == &inode && *end < moment);
            if writes.any(|(written, _)| !self.is_data_flushed(inode, *written, moment)) {
                lost.push(format!("the octets of {}", path.display()));
            }
        }
        lost
    }

    /// What of one file, and of the directories it is in, the power would take at `moment`.
    pub fn loses_of(&self, file: &Path, moment: usize) -> Vec<String> {
        self.loses(moment, |path| file.starts_with(path))
    }

    /// Whether the octets that were written under this name are on disk at `moment`, which is before it is given away.
    pub fn is_whole(&self, path: &Path, moment: usize) -> bool {
        self.loses(moment, |other| other == path).iter().all(|lost| !lost.starts_with("the octets"))
    }

    /// When a directory is first flushed after `moment`: beginning and end.
    pub fn first_flush(&self, dir: &Path, moment: usize) -> Option<(usize, usize)> {
        let of = self.name_flushes.iter().filter(|(start, _, of)| of == dir && *start > moment);
        of.map(|(start, end, _)| (*start, *end)).min()
    }
}

/// What a state holds, as far as the rules ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub version: u32,
    /// By mailbox and UID: the file's name without its flags, and whether it has a file at all.
    pub links: BTreeMap<(String, u32), (String, bool)>,
    pub intents: BTreeSet<String>,
    /// A maildrop's: by serial, what became of the server's copy, and the file.
    pub messages: BTreeMap<i64, (i64, Option<String>)>,
}

/// A transaction: when its first octet was written, when it was flushed, and what the state then held.
#[derive(Debug)]
pub struct Commit {
    pub start: usize,
    pub end: usize,
    pub held: Held,
}

/// The state's files, as they are.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

pub fn log_of(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", database.display()))
}

pub fn files_of(database: &Path) -> Files {
    let read = |path: PathBuf| fs::read(&path).ok().map(|octets| (path, octets));
    [database.to_owned(), log_of(database)].into_iter().filter_map(read).collect()
}

/// What the state held before the run, and after each transaction of it.
pub fn commits(events: &[Event], database: &Path, mut files: Files) -> Vec<Commit> {
    let log = log_of(database);
    let mut all = vec![Commit { start: 0, end: 0, held: held(database, &files) }];
    let mut begun = None;
    for event in events {
        match &event.act {
            Act::Wrote(path, offset, octets) if *path == log || path == database => {
                let offset = offset.expect("SQLite writes at offsets") as usize;
                let file = files.entry(path.clone()).or_default();
                if file.len() < offset + octets.len() {
                    file.resize(offset + octets.len(), 0);
                }
                file[offset..offset + octets.len()].copy_from_slice(octets);
                if *path == log {
                    begun = begun.or(Some(event.start));
                }
            }
            Act::Cut(path, length) if *path == log || path == database => {
                files.entry(path.clone()).or_default().resize(*length as usize, 0);
            }
            Act::Removed(path) => drop(files.remove(path)),
            Act::Flushed(path) if *path == log => {
                if let Some(start) = begun.take() {
                    all.push(Commit { start, end: event.end, held: held(database, &files) });
                }
            }
            _ => {}
        }
    }
    assert!(begun.is_none(), "the log ends with what nobody flushed");
    all
}

/// Reads the state that these files are.
fn held(database: &Path, files: &Files) -> Held {
    let mut held = Held::default();
    let Some(octets) = files.get(database).filter(|octets| !octets.is_empty()) else { return held };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    fs::write(&path, octets).unwrap();
    if let Some(log) = files.get(&log_of(database)) {
        fs::write(log_of(&path), log).unwrap();
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    held.version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    let rows = |sql: &str, each: &mut dyn FnMut(&rusqlite::Row<'_>)| {
        // A table that a later version brings.
        let Ok(mut statement) = connection.prepare(sql) else { return };
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            each(row);
        }
    };
    let links = "SELECT name, uid, file, presence FROM link JOIN mailbox ON mailbox.id = link.mailbox";
    rows(links, &mut |row| {
        let has_file = row.get::<_, u8>(3).unwrap() != 2;
        held.links.insert((row.get(0).unwrap(), row.get(1).unwrap()), (text(row.get(2).unwrap()), has_file));
    });
    rows("SELECT file FROM intent", &mut |row| {
        held.intents.insert(text(row.get(0).unwrap()));
    });
    rows("SELECT serial, copy, file FROM message", &mut |row| {
        let file = row.get::<_, Option<Vec<u8>>>(2).unwrap().map(text);
        held.messages.insert(row.get(0).unwrap(), (row.get(1).unwrap(), file));
    });
    held
}
