//! What a mailbox holds: one readdir of `new` and of `cur`, and no look at any file.
//!
//! Absence from a listing leads to deletions, so a listing must not miss what is there. `new` is read before `cur`,
//! because messages go that way; and as a readdir may miss a file that is renamed meanwhile, a listing counts only when
//! nothing moved: the directories' stamps are the same before and after and old enough to tell, or two readings in a
//! row are equal. Where neither happens, everything that was seen in any reading is listed.
//!
//! The checkpoint is taken before the first readdir. A stamp within two seconds of now may stay the same over a later
//! change (file systems stamp with a tick of up to that), so it is not to be trusted: the checkpoint is all zeros.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FileType;

use super::content::Survey;
use super::dir::{Dir, Stamp};
use super::keywords::{KeywordTable, Table};
use super::name::{self, LetterSet, Letters};
use crate::error::Result;
use crate::mail::{Content, FileId, Flags, LocalCheckpoint, Origin, UnixSeconds};

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// The directories are as the checkpoint says.
    Unchanged,
    /// The directories were read.
    Listed(Listing),
}

/// All messages of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Every message file. Where two have the same unique part, the one in `cur`, then the lexically first, goes by it;
    /// others go by their whole name.
    pub files: BTreeMap<FileId, ScannedFile>,
    /// What the next scan may start from; all zeros when it cannot be trusted.
    pub checkpoint: LocalCheckpoint,
    /// Which keywords files here can carry.
    pub keywords: KeywordTable,
}

/// One message file, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// Its flags.
    pub flags: Flags,
    /// Where its name says it came from.
    pub origin: Option<Origin>,
    /// Octets on the wire, as its name says.
    pub wire_size_hint: Option<u64>,
    place: Place,
    goes_by: GoesBy,
}

/// What of a file's name its id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesBy {
    UniquePart,
    WholeName,
}

/// What reading a file told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Digest, wire size, Message-ID.
    pub content: Content,
    /// Its mtime.
    pub modified: UnixSeconds,
}

/// The two directories that hold messages; `cur` sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sub {
    Cur,
    New,
}

impl Sub {
    pub(super) fn name(self) -> &'static str {
        match self {
            Sub::Cur => "cur",
            Sub::New => "new",
        }
    }
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub sub: Sub,
    pub name: Box<OsStr>,
}

/// A mailbox's directories, open.
#[derive(Debug)]
pub(super) struct Boxes {
    pub dir: Dir,
    new: Dir,
    cur: Dir,
}

/// A listing that can be relied on: by id where each file is.
#[derive(Debug)]
pub(super) struct Settled {
    pub places: BTreeMap<FileId, Place>,
    pub checkpoint: LocalCheckpoint,
}

impl Boxes {
    /// Opens the directories of the mailbox whose directory is `dir`.
    pub(super) fn open(dir: Dir) -> Result<Boxes> {
        let sub = |name: &str| {
            dir.open(name.as_ref()).map_err(|e| dir.failed("open the mailbox's directory", name.as_ref(), e))
        };
        Ok(Boxes { new: sub("new")?, cur: sub("cur")?, dir })
    }

    pub(super) fn sub(&self, sub: Sub) -> &Dir {
        match sub {
            Sub::Cur => &self.cur,
            Sub::New => &self.new,
        }
    }

    /// Reads both directories until nothing moves under the reading.
    pub(super) fn settle(&self, now: i64) -> Result<Settled> {
        const PASSES: usize = 5;
        let before = self.stamps()?;
        let mut last = self.pass()?;
        let quiet = before == self.stamps()? && !is_racy(before, now);
        if quiet {
            return Ok(Settled { places: by_id(last), checkpoint: checkpoint(before) });
        }
        let mut seen = BTreeMap::new();
        last.sort_unstable();
        for _ in 1..PASSES {
            let mut pass = self.pass()?;
            pass.sort_unstable();
            if pass == last {
                return Ok(Settled { places: by_id(pass), checkpoint: LocalCheckpoint::default() });
            }
            seen.extend(by_id(std::mem::replace(&mut last, pass)));
        }
        seen.extend(by_id(last));
        Ok(Settled { places: seen, checkpoint: LocalCheckpoint::default() })
    }

    fn pass(&self) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for sub in [Sub::New, Sub::Cur] {
            self.sub(sub).each_entry(|name, kind| {
                if kind != FileType::Directory && !name.as_bytes().starts_with(b".") {
                    places.push(Place { sub, name: name.into() });
                }
            })?;
        }
        Ok(places)
    }

    fn stamps(&self) -> Result<(Stamp, Stamp)> {
        Ok((self.new.stamp()?, self.cur.stamp()?))
    }

    /// Lists the mailbox.
    pub(super) fn list(&self, now: i64) -> Result<Listing> {
        // The table first: a letter that gets its meaning meanwhile is no flag yet, and its rename is seen next time.
        let table = Table::read(&self.dir)?;
        let Settled { places, checkpoint } = self.settle(now)?;
        let keywords = table.summary(letters_in_use(&places));
        let scanned = |(id, place): (FileId, Place)| {
            let unique = name::unique(&place.name);
            let goes_by = if id.as_os_str() == unique { GoesBy::UniquePart } else { GoesBy::WholeName };
            let (origin, wire_size_hint) = (name::origin(unique), name::wire_size(unique));
            let flags = table.flags(&Letters::of(&place.name));
            (id, ScannedFile { flags, origin, wire_size_hint, place, goes_by })
        };
        Ok(Listing { files: places.into_iter().map(scanned).collect(), checkpoint, keywords })
    }

    /// Reads a file through, looking for it under another name when it is not where it was; `None` when it is gone.
    pub(super) fn examine(&self, file: &ScannedFile, now: i64) -> Result<Option<Examined>> {
        const TRIES: usize = 3;
        let mut place = file.place.clone();
        for _ in 0..TRIES {
            match self.read_through(&place) {
                Ok(examined) => return Ok(Some(examined)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.sub(place.sub).failed("read the message", &place.name, e)),
            }
            // Whoever goes by its whole name is gone when that changes; its unique part is another file's.
            if file.goes_by == GoesBy::WholeName {
                return Ok(None);
            }
            match self.settle(now)?.places.remove(&FileId::new(name::unique(&place.name))) {
                Some(elsewhere) => place = elsewhere,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn read_through(&self, place: &Place) -> io::Result<Examined> {
        let mut file = self.sub(place.sub).open_file(&place.name)?;
        let modified = UnixSeconds(file.metadata()?.mtime());
        Ok(Examined { content: Survey::of(&mut file)?.0, modified })
    }
}

/// Whether the mailbox at `relative` is as `since` says: two stats.
pub(super) fn is_unchanged(root: &Dir, relative: &Path, since: &LocalCheckpoint) -> bool {
    let stamp = |sub: Sub| root.stamp_of(&relative.join(sub.name())).ok().flatten();
    let trusted = *since != LocalCheckpoint::default();
    trusted && stamp(Sub::New).zip(stamp(Sub::Cur)).is_some_and(|stamps| checkpoint(stamps) == *since)
}

/// The keyword letters that stand in any file's name.
pub(super) fn letters_in_use(places: &BTreeMap<FileId, Place>) -> LetterSet {
    places.values().fold(LetterSet::default(), |all, place| all.union(Letters::of(&place.name).keywords))
}

fn checkpoint((new, cur): (Stamp, Stamp)) -> LocalCheckpoint {
    LocalCheckpoint { new_mtime: new.mtime, cur_mtime: cur.mtime, inode: cur.inode }
}

/// Whether a change could still come under one of these stamps. The ctime is looked at too, as it cannot be set back.
fn is_racy((new, cur): (Stamp, Stamp), now: i64) -> bool {
    const TICK: i64 = 2_000_000_000;
    [new, cur].into_iter().any(|s| s.mtime.max(s.ctime) > now.saturating_sub(TICK))
}

/// Gives every file its id.
fn by_id(places: Vec<Place>) -> BTreeMap<FileId, Place> {
    let mut named: Vec<_> = places.into_iter().map(|p| (FileId::new(name::unique(&p.name)), p)).collect();
    named.sort_unstable();
    let mut namesakes = Vec::new();
    named.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            namesakes.push(Place { sub: later.1.sub, name: std::mem::take(&mut later.1.name) });
        }
        same
    });
    // From sorted pairs, which is far cheaper than one by one.
    let mut files: BTreeMap<FileId, Place> = named.into_iter().collect();
    for place in namesakes {
        // No name holds a `/`, so the last resort is nobody else's.
        let mut with_directory = OsString::from(place.sub.name());
        with_directory.push("/");
        with_directory.push(&*place.name);
        let whole = FileId::new(&*place.name);
        let id = if files.contains_key(&whole) { FileId::new(with_directory) } else { whole };
        files.insert(id, place);
    }
    files
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::local::dir;

    pub(in crate::local) struct Tree {
        temp: tempfile::TempDir,
        pub boxes: Boxes,
    }

    impl Tree {
        pub(in crate::local) fn new() -> Tree {
            let temp = tempfile::tempdir().unwrap();
            ["cur", "new", "tmp"].iter().for_each(|d| std::fs::create_dir(temp.path().join(d)).unwrap());
            let boxes = Boxes::open(Dir::open_root(temp.path()).unwrap()).unwrap();
            Tree { temp, boxes }
        }

        pub(in crate::local) fn path(&self, name: &str) -> PathBuf {
            self.temp.path().join(name)
        }

        pub(in crate::local) fn put(&self, name: &str) {
            std::fs::write(self.path(name), name).unwrap();
        }

        /// A scan at a time when nothing is racy.
        fn calm(&self) -> Listing {
            self.boxes.list(dir::now() + 3_000_000_000).unwrap()
        }

        fn unchanged(&self, since: &LocalCheckpoint) -> bool {
            is_unchanged(&self.boxes.dir, Path::new(""), since)
        }
    }

    fn ids(listing: &Listing) -> Vec<String> {
        listing.files.keys().map(FileId::to_string).collect()
    }

    #[test]
    fn lists_messages_and_nothing_else() {
        let tree = Tree::new();
        ["new/a", "cur/b:2,FSa", "cur/.hidden", "cur/c", "tmp/d", "e"].iter().for_each(|n| tree.put(n));
        std::fs::create_dir(tree.path("cur/sub")).unwrap();
        std::fs::write(tree.path("dovecot-keywords"), "0 Work\n").unwrap();
        std::fs::write(tree.path("cur").join(OsStr::from_bytes(b"\xff\xfe:2,S")), "x").unwrap();
        let listing = tree.calm();
        assert_eq!(listing.files.len(), 4);
        assert_eq!(listing.files[&FileId::new("b")].flags.to_string(), "\\Flagged \\Seen Work");
        assert!(listing.files[&FileId::new("a")].flags.is_empty());
        let id = FileId::new(OsStr::from_bytes(b"\xff\xfe"));
        let examined = tree.boxes.examine(&listing.files[&id], 0).unwrap().unwrap();
        assert_eq!(examined.content.wire_size, 1);
        assert_eq!(listing.keywords.free, 25);
    }

    #[test]
    fn two_files_with_one_unique_part_are_two_messages() {
        let tree = Tree::new();
        ["new/x", "cur/x:2,S", "cur/x:2,FS", "new/x:2,S", "cur/y:2,S:2,F", "cur/y:2,", "cur/y:2,S"]
            .iter()
            .for_each(|n| tree.put(n));
        let listing = tree.calm();
        assert_eq!(ids(&listing), ["cur/y:2,S", "new/x", "new/x:2,S", "x", "x:2,S", "y", "y:2,S"]);
        assert_eq!(listing.files[&FileId::new("x")].place.name.to_str(), Some("x:2,FS"));
    }

    #[test]
    fn unchanged_directories_are_not_read_and_changed_ones_are() {
        let tree = Tree::new();
        tree.put("cur/a:2,");
        let since = tree.calm().checkpoint;
        assert_ne!(since, LocalCheckpoint::default());
        assert!(tree.unchanged(&since));
        assert!(!tree.unchanged(&LocalCheckpoint::default()));
        assert!(!tree.unchanged(&LocalCheckpoint { inode: since.inode + 1, ..since }));
        std::fs::rename(tree.path("cur"), tree.path("away")).unwrap();
        assert!(!tree.unchanged(&since), "a missing directory is no unchanged one");
    }

    #[test]
    fn a_stamp_of_just_now_or_of_the_future_is_not_trusted_even_when_set_back() {
        let tree = Tree::new();
        tree.put("cur/a:2,");
        let stamp = tree.boxes.sub(Sub::Cur).stamp().unwrap().mtime;
        for now in [stamp - 3_600_000_000_000, stamp, stamp + 1_999_999_999] {
            assert_eq!(tree.boxes.list(now).unwrap().checkpoint, LocalCheckpoint::default());
        }
        for sub in ["cur", "new"] {
            std::fs::File::open(tree.path(sub)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        assert_eq!(tree.boxes.list(dir::now()).unwrap().checkpoint, LocalCheckpoint::default());
        assert_ne!(tree.boxes.list(dir::now() + 2_100_000_000).unwrap().checkpoint, LocalCheckpoint::default());
    }

    #[test]
    fn a_file_renamed_after_the_scan_is_found_and_one_gone_is_no_error() {
        let tree = Tree::new();
        ["new/a", "cur/b:2,", "cur/b:2,S"].iter().for_each(|n| tree.put(n));
        let listing = tree.calm();
        std::fs::rename(tree.path("new/a"), tree.path("cur/a:2,S")).unwrap();
        std::fs::remove_file(tree.path("cur/b:2,S")).unwrap();
        let other = &listing.files[&FileId::new("b:2,S")];
        assert_eq!(tree.boxes.examine(other, dir::now()).unwrap(), None, "not to be mistaken for its namesake");
        let file = &listing.files[&FileId::new("a")];
        assert!(tree.boxes.examine(file, dir::now()).unwrap().is_some());
        std::fs::remove_file(tree.path("cur/a:2,S")).unwrap();
        assert_eq!(tree.boxes.examine(file, dir::now()).unwrap(), None);
    }

    #[test]
    fn what_is_no_plain_file_is_listed_and_not_read() {
        let tree = Tree::new();
        tree.put("secret");
        std::os::unix::fs::symlink("../secret", tree.path("cur/link:2,")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, tree.path("cur/pipe:2,"), rustix::fs::Mode::RWXU).unwrap();
        let listing = tree.calm();
        for id in ["link", "pipe"] {
            assert!(tree.boxes.examine(&listing.files[&FileId::new(id)], 0).is_err(), "{id}");
        }
    }

    #[test]
    fn an_unreadable_file_is_an_error_not_absence() {
        use std::os::unix::fs::PermissionsExt;
        if rustix::process::geteuid().is_root() {
            return;
        }
        let tree = Tree::new();
        tree.put("cur/a:2,");
        std::fs::set_permissions(tree.path("cur/a:2,"), PermissionsExt::from_mode(0o000)).unwrap();
        let listing = tree.calm();
        assert!(tree.boxes.examine(&listing.files[&FileId::new("a")], 0).is_err());
        std::fs::set_permissions(tree.path("cur"), PermissionsExt::from_mode(0o000)).unwrap();
        let denied = Boxes::open(Dir::open_root(&tree.path("")).unwrap()).unwrap_err();
        assert!(denied.to_string().contains("permission denied"), "{denied}");
        std::fs::set_permissions(tree.path("cur"), PermissionsExt::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_readdir_under_renames_misses_nothing() {
        let tree = Tree::new();
        let count = 1500;
        (0..count).for_each(|n| tree.put(&format!("cur/m{n}:2,")));
        let stop = AtomicBool::new(false);
        std::thread::scope(|s| {
            s.spawn(|| {
                for n in (0..).map(|n| n * 37 % count) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (plain, seen) = (tree.path(&format!("cur/m{n}:2,")), tree.path(&format!("cur/m{n}:2,S")));
                    let _ = std::fs::rename(&plain, &seen).or_else(|_| std::fs::rename(&seen, &plain));
                }
            });
            for _ in 0..30 {
                let settled = tree.boxes.settle(dir::now()).unwrap();
                // Both names of one file may be seen in one reading; then it is listed twice, never not at all.
                assert!((0..count).all(|n| settled.places.contains_key(&FileId::new(format!("m{n}")))));
                assert_eq!(settled.checkpoint, LocalCheckpoint::default());
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[derive(Debug, Clone)]
    enum Change {
        Put(u8, bool),
        Flag(u8),
        Remove(u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (0u8..6, any::<bool>()).prop_map(|(n, new)| Change::Put(n, new)),
            (0u8..6).prop_map(Change::Flag),
            (0u8..6).prop_map(Change::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_change_is_seen_even_in_the_same_tick(changes in prop::collection::vec(change(), 1..12)) {
            let tree = Tree::new();
            let mut since = tree.boxes.list(dir::now()).unwrap();
            for change in changes {
                match change {
                    Change::Put(n, true) => tree.put(&format!("new/{n}")),
                    Change::Put(n, false) => tree.put(&format!("cur/{n}:2,")),
                    Change::Flag(n) => {
                        let [from, to] = ["", "S"].map(|letter| tree.path(&format!("cur/{n}:2,{letter}")));
                        let _ = std::fs::rename(from, to);
                    }
                    Change::Remove(n) => { let _ = std::fs::remove_file(tree.path(&format!("cur/{n}:2,"))); }
                }
                let truth = tree.boxes.list(dir::now()).unwrap();
                if tree.unchanged(&since.checkpoint) {
                    prop_assert_eq!(&since.files, &truth.files);
                }
                since = truth;
            }
        }
    }
}
