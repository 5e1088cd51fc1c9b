//! A mail program on the local side: reads and edits a Maildir tree as MUAs do, with `std::fs`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::compare::{FlagSet, Seen, Snapshot};
use super::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `root/INBOX`, `root/A/B`.
    Nested,
    /// `root` is INBOX, `root/.A.B`.
    MaildirPlusPlus,
}

/// A tree of mailboxes.
#[derive(Debug, Clone)]
pub struct Tree {
    pub root: PathBuf,
    pub layout: Layout,
}

/// A message file.
#[derive(Debug, Clone)]
pub struct Message {
    pub path: PathBuf,
}

const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];

impl Message {
    /// What stands after `:2,`.
    pub fn letters(&self) -> String {
        self.name().rsplit_once(":2,").map(|(_, l)| l.to_owned()).unwrap_or_default()
    }

    pub fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn mailbox_dir(&self) -> &Path {
        self.path.parent().and_then(Path::parent).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// Gives it these letters, moving it to `cur` as every MUA does.
    pub fn set_letters(&mut self, letters: &str) {
        let mut sorted: Vec<char> = letters.chars().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let name = self.name();
        let unique = name.split_once(":2,").map_or(name.as_str(), |(unique, _)| unique);
        let info: String = sorted.into_iter().collect();
        let path = self.mailbox_dir().join("cur").join(format!("{unique}:2,{info}"));
        fs::rename(&self.path, &path).unwrap();
        self.path = path;
    }

    /// Sets it, or clears it when it is set.
    pub fn toggle(&mut self, letter: char) {
        let letters = self.letters();
        let without: String = letters.chars().filter(|c| *c != letter).collect();
        let with = if without == letters { format!("{letters}{letter}") } else { without };
        self.set_letters(&with);
    }

    pub fn delete(self) {
        fs::remove_file(&self.path).unwrap();
    }
}

impl Tree {
    pub fn new(root: impl Into<PathBuf>, layout: Layout) -> Tree {
        Tree { root: root.into(), layout }
    }

    /// Where a mailbox lives; `%`-escapes what the layout cannot say, as the program does.
    pub fn dir(&self, mailbox: &str) -> PathBuf {
        match self.layout {
            Layout::Nested => self.root.join(mailbox),
            Layout::MaildirPlusPlus if mailbox == "INBOX" => self.root.clone(),
            Layout::MaildirPlusPlus => self.root.join(format!(".{}", mailbox.replace('.', "%2E").replace('/', "."))),
        }
    }

    /// Every mailbox with its directory.
    pub fn mailboxes(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        match self.layout {
            Layout::Nested => walk(&self.root, "", &mut found),
            Layout::MaildirPlusPlus => {
                if self.root.join("cur").is_dir() {
                    found.insert("INBOX".to_owned(), self.root.clone());
                }
                for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if let Some(rest) = name.strip_prefix('.').filter(|_| entry.path().join("cur").is_dir()) {
                        let segments: Vec<String> = rest.split('.').map(names::from_directory).collect();
                        found.insert(segments.join("/"), entry.path());
                    }
                }
            }
        }
        found
    }

    pub fn messages(&self, mailbox: &str) -> Vec<Message> {
        files_of(&self.dir(mailbox))
    }

    /// Puts a message into `new` (no letters) or `cur`.
    pub fn deliver(&self, mailbox: &str, unique: &str, bytes: &[u8], letters: Option<&str>) -> Message {
        let dir = self.dir(mailbox);
        let path = match letters {
            None => dir.join("new").join(unique),
            Some(letters) => dir.join("cur").join(format!("{unique}:2,{letters}")),
        };
        let tmp = dir.join("tmp").join(unique);
        fs::write(&tmp, bytes).unwrap();
        fs::rename(&tmp, &path).unwrap();
        Message { path }
    }

    pub fn create_mailbox(&self, mailbox: &str) {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(self.dir(mailbox).join(part)).unwrap();
        }
    }

    /// Removes a mailbox and its mail; mailboxes below stay.
    pub fn delete_mailbox(&self, mailbox: &str) {
        let dir = self.dir(mailbox);
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            let is_part = ["cur", "new", "tmp"].iter().any(|p| path.ends_with(p));
            if is_part {
                fs::remove_dir_all(&path).unwrap();
            } else if path.is_file() {
                fs::remove_file(&path).unwrap();
            }
        }
        let _ = fs::remove_dir(&dir);
    }

    /// The letter of a keyword in a mailbox, after adding it to `dovecot-keywords` where it is new.
    pub fn keyword_letter(&self, mailbox: &str, keyword: &str) -> char {
        let dir = self.dir(mailbox);
        let table = keywords(&dir);
        if let Some((letter, _)) = table.iter().find(|(_, k)| k.eq_ignore_ascii_case(keyword)) {
            return *letter;
        }
        let letter = ('a'..='z').find(|l| !table.contains_key(l)).expect("a letter is free");
        let mut text = fs::read_to_string(dir.join("dovecot-keywords")).unwrap_or_default();
        text.push_str(&format!("{} {keyword}\n", letter as u8 - b'a'));
        fs::write(dir.join("dovecot-keywords"), text).unwrap();
        letter
    }

    /// Waits until the directories' stamps are so old that no later change can hide behind them: only then the program
    /// believes them, and reads the directories no more.
    pub fn grow_old(&self, mailbox: &str) {
        let young = |part: &str| {
            let changed = fs::metadata(self.dir(mailbox).join(part)).unwrap().ctime();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
            now <= changed + 2
        };
        while ["new", "cur"].into_iter().any(young) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything, read anew.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, dir) in self.mailboxes() {
            snapshot.0.insert(name.clone(), Vec::new());
            let table = keywords(&dir);
            for message in files_of(&dir) {
                let flag = |letter: char| {
                    let standard = LETTERS.iter().find(|(l, _)| *l == letter).map(|(_, f)| (*f).to_owned());
                    standard.or_else(|| table.get(&letter).map(|k| k.to_ascii_lowercase()))
                };
                let flags: FlagSet = message.letters().chars().filter_map(flag).collect();
                snapshot.add(&name, Seen::new(&message.bytes(), flags));
            }
        }
        snapshot
    }

    /// Every path below the root with what would betray a touch: inode, size, mtime, ctime, mode.
    pub fn touch_marks(&self) -> BTreeMap<PathBuf, [i64; 7]> {
        fn walk(path: &Path, marks: &mut BTreeMap<PathBuf, [i64; 7]>) {
            let m = fs::symlink_metadata(path).unwrap();
            let inode = m.ino() as i64;
            let marks_of =
                [inode, m.size() as i64, m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), i64::from(m.mode())];
            marks.insert(path.to_owned(), marks_of);
            if m.is_dir() {
                fs::read_dir(path).unwrap().for_each(|e| walk(&e.unwrap().path(), marks));
            }
        }
        let mut marks = BTreeMap::new();
        walk(&self.root, &mut marks);
        marks
    }
}

fn walk(dir: &Path, prefix: &str, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if !is_dir || ["cur", "new", "tmp"].contains(&file.as_str()) {
            continue;
        }
        let decoded = names::from_directory(&file);
        let name = if prefix.is_empty() { decoded } else { format!("{prefix}/{decoded}") };
        if entry.path().join("cur").is_dir() {
            found.insert(name.clone(), entry.path());
        }
        walk(&entry.path(), &name, found);
    }
}

fn files_of(dir: &Path) -> Vec<Message> {
    let mut files = Vec::new();
    for part in ["new", "cur"] {
        for entry in fs::read_dir(dir.join(part)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.file_name().unwrap().to_string_lossy().starts_with('.') {
                files.push(Message { path });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn keywords(dir: &Path) -> BTreeMap<char, String> {
    let text = fs::read_to_string(dir.join("dovecot-keywords")).unwrap_or_default();
    let entry = |line: &str| {
        let (number, keyword) = line.split_once(' ')?;
        Some((char::from(b'a' + number.parse::<u8>().ok()?), keyword.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

#[test]
fn a_mua_edits_both_layouts() {
    let scratch = super::scratch::Scratch::new();
    for layout in [Layout::Nested, Layout::MaildirPlusPlus] {
        let tree = Tree::new(scratch.path().join(format!("{layout:?}")), layout);
        for name in ["INBOX", "A", "A/b.c", "Ü"] {
            tree.create_mailbox(name);
        }
        let mut message = tree.deliver("A/b.c", "1.x", b"Subject: s\n\n", None);
        let letter = tree.keyword_letter("A/b.c", "Work");
        message.set_letters(&format!("S{letter}"));
        message.toggle('F');
        assert_eq!(message.letters(), "FSa");
        let snapshot = tree.snapshot();
        assert_eq!(snapshot.0.keys().collect::<Vec<_>>(), ["A", "A/b.c", "INBOX", "Ü"]);
        let flags: Vec<_> = snapshot.0["A/b.c"][0].flags.iter().collect();
        assert_eq!(flags, ["\\Flagged", "\\Seen", "work"]);
        tree.delete_mailbox("A");
        assert!(!tree.mailboxes().contains_key("A") && tree.mailboxes().contains_key("A/b.c"));
    }
}

#[test]
fn the_maildir_crate_reads_what_this_mua_writes() {
    let scratch = super::scratch::Scratch::new();
    let tree = Tree::new(scratch.path(), Layout::Nested);
    tree.create_mailbox("INBOX");
    tree.deliver("INBOX", "1.x", b"Subject: s\n\n", Some("FS"));
    let other = maildir::Maildir::from(tree.dir("INBOX"));
    let entry = other.list_cur().next().unwrap().unwrap();
    assert!(entry.is_seen() && entry.is_flagged() && !entry.is_trashed());
}
