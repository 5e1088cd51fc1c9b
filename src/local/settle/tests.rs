//! Namesakes, stamps, and readings while other programs rename.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::super::dir;
use super::*;

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

    /// A reading at a time when nothing is racy.
    fn calm(&self) -> Settled {
        self.boxes.settle(dir::now() + 3_000_000_000).unwrap()
    }

    fn unchanged(&self, since: &LocalCheckpoint) -> bool {
        is_unchanged(&self.boxes.dir, Path::new(""), since)
    }
}

/// Whether its times say anything; its inode does.
fn is_trusted(checkpoint: &LocalCheckpoint) -> bool {
    assert_ne!(checkpoint.inode, 0);
    checkpoint.new_time != i64::MIN && checkpoint.cur_time != i64::MIN
}

#[test]
fn two_files_with_one_unique_part_are_two_messages() {
    let tree = Tree::new();
    ["new/x", "cur/x:2,S", "cur/x:2,FS", "new/x:2,S", "cur/y:2,S:2,F", "cur/y:2,", "cur/y:2,S"]
        .iter()
        .for_each(|n| tree.put(n));
    let places = tree.calm().places;
    let mut ids: Vec<_> = places.iter().map(|spot| spot.id.to_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["cur/y:2,S", "new/x", "new/x:2,S", "x", "x:2,S", "y", "y:2,S"]);
    assert_eq!(places.place(&FileId::new("x")).unwrap().name.to_str(), Some("x:2,FS"));
    // Each is found by the id that it is listed by.
    for (n, spot) in places.iter().enumerate() {
        let id = FileId::new(spot.id);
        assert_eq!((places.find(&id), places.place(&id)), (Some(n), Some(spot.place())));
        assert_eq!(places.name_of(n), Some(spot.name));
    }
    assert!(places.have_namesakes() && places.find(&FileId::new("z")).is_none());
}

#[test]
fn unchanged_directories_are_not_read_and_changed_ones_are() {
    let tree = Tree::new();
    tree.put("cur/a:2,");
    let since = tree.calm().checkpoint;
    assert!(is_trusted(&since));
    assert!(tree.unchanged(&since));
    assert!(!tree.unchanged(&LocalCheckpoint::default()));
    assert!(!tree.unchanged(&LocalCheckpoint { inode: since.inode + 1, ..since }));
    // As a copy does that is put back over it.
    let before = std::fs::metadata(tree.path("cur")).unwrap().modified().unwrap();
    tree.put("cur/b:2,");
    std::fs::File::open(tree.path("cur")).unwrap().set_modified(before).unwrap();
    assert_eq!(std::fs::metadata(tree.path("cur")).unwrap().modified().unwrap(), before);
    assert!(!tree.unchanged(&since), "an mtime that was set back tells nothing");
    std::fs::rename(tree.path("cur"), tree.path("away")).unwrap();
    assert!(!tree.unchanged(&since), "a missing directory is no unchanged one");
}

#[test]
fn a_stamp_of_just_now_or_of_the_future_is_not_trusted_even_when_set_back() {
    let tree = Tree::new();
    tree.put("cur/a:2,");
    let stamp = tree.boxes.sub(Sub::Cur).stamp().unwrap().mtime;
    for now in [stamp - 3_600_000_000_000, stamp, stamp + 1_999_999_999] {
        assert!(!is_trusted(&tree.boxes.settle(now).unwrap().checkpoint));
    }
    for sub in ["cur", "new"] {
        std::fs::File::open(tree.path(sub)).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    assert!(!is_trusted(&tree.boxes.settle(dir::now()).unwrap().checkpoint));
    assert!(is_trusted(&tree.boxes.settle(dir::now() + 2_100_000_000).unwrap().checkpoint));
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
            assert!((0..count).all(|n| settled.places.find(&FileId::new(format!("m{n}"))).is_some()));
            assert!(!is_trusted(&settled.checkpoint));
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
        let mut since = tree.boxes.settle(dir::now()).unwrap();
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
            let truth = tree.boxes.settle(dir::now()).unwrap();
            if tree.unchanged(&since.checkpoint) {
                prop_assert_eq!(&since.places, &truth.places);
            }
            since = truth;
        }
    }
}
