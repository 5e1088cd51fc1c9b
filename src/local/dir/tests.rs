//! What a directory refuses.

use super::*;

fn dir() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open_root(temp.path()).unwrap();
    (temp, dir)
}

#[test]
fn a_rename_never_replaces() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("a"), "a").unwrap();
    std::fs::write(temp.path().join("b"), "b").unwrap();
    let e = dir.rename_new("a".as_ref(), &dir, "b".as_ref()).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(temp.path().join("b")).unwrap(), b"b");
    dir.rename_new("a".as_ref(), &dir, "c".as_ref()).unwrap();
}

#[test]
fn links_and_pipes_are_not_opened() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("file"), "x").unwrap();
    std::os::unix::fs::symlink("file", temp.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/", temp.path().join("way-out")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, temp.path().join("pipe"), Mode::RWXU).unwrap();
    for name in ["link", "pipe"] {
        assert!(dir.open_file(name.as_ref()).is_err(), "{name}");
    }
    let e = dir.descend(Path::new("way-out/etc")).unwrap_err();
    assert!(e.to_string().contains("symbolic link"), "{e}");
}

#[test]
fn a_replaced_file_is_whole_and_leaves_nothing_behind() {
    let (temp, dir) = dir();
    dir.replace_file("f".as_ref(), b"one").unwrap();
    dir.replace_file("f".as_ref(), b"two").unwrap();
    assert_eq!(dir.read_file("f".as_ref(), 10).unwrap().as_deref(), Some(&b"two"[..]));
    assert!(dir.read_file("f".as_ref(), 2).is_err());
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}
