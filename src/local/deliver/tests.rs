//! What arrives, in the mailbox or not at all.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::lines::CHUNK;
use super::super::store::tests::{ID, folder};
use super::*;
use crate::mail::{MailboxId, Origin, Uid, UidValidity};

pub(in crate::local) fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::none();
    names.iter().for_each(|n| flags.insert_imap(n));
    flags
}

pub(in crate::local) fn origin(uid: u32) -> Origin {
    Origin { account: ID, mailbox: MailboxId(4), uid_validity: UidValidity(5), uid: Uid::new(uid).unwrap() }
}

pub(in crate::local) fn delivery(folder: &Folder, uid: u32, wire: &[u8], names: &[&str]) -> Delivery {
    let mut incoming = folder.incoming().unwrap();
    incoming.write(wire).unwrap();
    let received = incoming.finish().unwrap();
    Delivery { received, origin: origin(uid).into(), flags: flags(names), internal_date: UnixSeconds(1_700_000_000) }
}

pub(in crate::local) fn files(path: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for sub in ["cur", "new", "tmp"] {
        let entries = std::fs::read_dir(path.join(sub)).unwrap();
        all.extend(entries.map(|e| format!("{sub}/{}", e.unwrap().file_name().to_string_lossy())));
    }
    all.sort();
    all
}

#[test]
fn a_message_arrives_private_dated_and_named_after_its_origin() {
    let (_temp, folder, path) = folder();
    let batch = vec![
        delivery(&folder, 1, b"a\r\nb\r\n", &[]),
        delivery(&folder, 2, b"c\r\n", &["\\Seen", "\\Flagged"]),
        delivery(&folder, 3, b"d", &["\\Flagged", "Work"]),
    ];
    assert!(files(&path).iter().all(|f| f.starts_with("tmp/")));
    let delivered: Vec<_> = folder.deliver(batch).into_iter().map(Result::unwrap).collect();
    let names = [
        "cur/1700000000.0a1b2c3d-00000004-5-2.mailtide,S=2,W=3:2,FS",
        "cur/1700000000.0a1b2c3d-00000004-5-3.mailtide,S=1,W=1:2,Fa",
        "new/1700000000.0a1b2c3d-00000004-5-1.mailtide,S=4,W=6",
    ];
    assert_eq!(files(&path), names);
    for name in names {
        let metadata = std::fs::metadata(path.join(name)).unwrap();
        assert_eq!((metadata.mtime(), metadata.permissions().mode() & 0o777), (1_700_000_000, 0o600));
    }
    assert_eq!(delivered[0].file, FileId::new("1700000000.0a1b2c3d-00000004-5-1.mailtide,S=4,W=6"));
    assert_eq!(name::origin(delivered[2].file.as_os_str()), Some(origin(3)));
    assert_eq!(delivered[2].flags, flags(&["\\Flagged", "Work"]));
    assert_eq!(std::fs::read(path.join("dovecot-keywords")).unwrap(), b"0 Work\n");
    assert_eq!(std::fs::read(path.join(names[2])).unwrap(), b"a\nb\n");
}

#[test]
fn one_failure_leaves_the_rest_of_a_batch_alone() {
    let (_temp, folder, path) = folder();
    let batch: Vec<_> = (1..=30).map(|uid| delivery(&folder, uid, b"x\r\n", &[])).collect();
    // Somebody removes a file from `tmp` before it is flushed: it must not be called delivered.
    std::fs::remove_file(path.join("tmp").join(batch[7].received.tmp.name())).unwrap();
    let results = folder.deliver(batch);
    let failed: Vec<usize> = (0..30).filter(|n| results[*n].is_err()).collect();
    assert_eq!(failed, [7]);
    assert_eq!(files(&path).iter().filter(|f| f.starts_with("new/")).count(), 29);
    assert!(files(&path).iter().all(|f| !f.contains("5-8.mailtide")));
}

#[test]
fn nothing_is_overwritten_and_nothing_is_delivered_twice() {
    let (_temp, folder, path) = folder();
    let deliver = |wire: &[u8]| folder.deliver(vec![delivery(&folder, 1, wire, &[])]).remove(0).unwrap().file;
    let first = deliver(b"one\r\n");
    assert_eq!(deliver(b"one\r\n"), first);
    assert_eq!(files(&path).len(), 1);
    let other = deliver(b"two\r\n");
    assert_eq!(other.to_string(), format!("{first},C=1"));
    assert_eq!(name::origin(other.as_os_str()), Some(origin(1)));
    assert_eq!(std::fs::read(path.join("new").join(first.as_os_str())).unwrap(), b"one\n");
}

#[test]
fn keywords_beyond_26_are_left_out_and_said_so() {
    let (_temp, folder, _path) = folder();
    let names: Vec<String> = (0..30).map(|n| format!("k{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let got = folder.deliver(vec![delivery(&folder, 1, b"x", &names)]).remove(0).unwrap();
    assert_eq!(got.flags, flags(&names[..26]));
}

/// A mounted file system, unmounted when dropped; `None` where mounting is not allowed.
struct Mounted(PathBuf);

impl Mounted {
    fn run(command: &str, args: &[&str], path: &Path) -> bool {
        let status =
            std::process::Command::new(command).args(args).arg(path).stderr(std::process::Stdio::null()).status();
        status.is_ok_and(|s| s.success())
    }

    fn tmpfs(path: &Path) -> Option<Mounted> {
        let mounted = Mounted::run("mount", &["-t", "tmpfs", "-o", "size=256k", "tmpfs"], path);
        mounted.then(|| Mounted(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Mounted::run("umount", &["-l"], &self.0);
    }
}

#[test]
fn a_full_or_read_only_disk_is_said_in_words_and_leaves_nothing_half() {
    let (_temp, store) = super::super::store::tests::tree(super::super::Layout::Nested);
    let inbox = super::super::store::tests::mailbox("INBOX");
    let path = _temp.path().join("Mail/INBOX");
    std::fs::create_dir(&path).unwrap();
    let Some(mounted) = Mounted::tmpfs(&path) else { return };
    store.create_mailbox(&inbox).unwrap();
    let folder = store.folder(&inbox).unwrap();
    let mut incoming = folder.incoming().unwrap();
    let piece = vec![b'x'; CHUNK];
    let e = (0..10).find_map(|_| incoming.write(&piece).err()).unwrap();
    assert_eq!(e.kind(), Kind::LocalTree);
    assert!(e.to_string().contains("Could not write the message: the disk is full"), "{e}");
    assert!(e.hint_text().unwrap().starts_with("Free some space"));
    drop(incoming);
    assert!(files(&path).is_empty());
    let ready = delivery(&folder, 1, b"x", &["\\Seen"]);
    assert!(Mounted::run("mount", &["-o", "remount,ro"], &mounted.0));
    let e = folder.incoming().unwrap_err();
    assert!(e.to_string().contains("the file system is mounted read-only"), "{e}");
    assert!(folder.deliver(vec![ready]).remove(0).is_err());
    drop(folder);
}
