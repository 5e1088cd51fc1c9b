//! A private directory a test, and the user that servers and unprivileged runs go by.
//!
//! As root, servers run as `nobody` (mail servers refuse to hand out mail as root), and so does a mailtide that has to
//! meet a closed door: root would walk through. As an ordinary user everything runs as that user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that everybody may enter and that goes with the test.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Scratch {
        let dir = tempfile::Builder::new().prefix("mailtide-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Scratch { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a directory in it that belongs to [`unprivileged`].
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        give_away(&path);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have closed a directory; the owner opens it again so that it can be removed.
        reopen(self.dir.path());
    }
}

fn reopen(dir: &Path) {
    let Ok(meta) = fs::symlink_metadata(dir) else { return };
    if !meta.is_dir() {
        return;
    }
    if meta.permissions().mode() & 0o700 != 0o700 {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o755));
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            reopen(&entry.path());
        }
    }
}

/// A user as the kernel and as a config file know it.
#[derive(Debug, Clone)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
    pub group: String,
    /// Whether it is the user that runs the tests.
    pub is_me: bool,
}

/// `nobody` for root, the user itself otherwise.
pub fn unprivileged() -> User {
    let me = rustix::process::geteuid().as_raw();
    let is_me = me != 0;
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let wanted = |line: &&str| {
        let fields: Vec<&str> = line.split(':').collect();
        if is_me { fields.get(2) == Some(&me.to_string().as_str()) } else { fields[0] == "nobody" }
    };
    let line = passwd.lines().find(wanted).expect("the user stands in /etc/passwd");
    let fields: Vec<&str> = line.split(':').collect();
    let gid = fields[3];
    let groups = fs::read_to_string("/etc/group").unwrap();
    let group = groups.lines().find(|l| l.split(':').nth(2) == Some(gid)).and_then(|l| l.split(':').next());
    User {
        uid: fields[2].parse().unwrap(),
        gid: gid.parse().unwrap(),
        name: fields[0].to_owned(),
        group: group.expect("the user's group stands in /etc/group").to_owned(),
        is_me,
    }
}

/// Lets `command` run as [`unprivileged`].
pub fn drop_privileges(command: &mut Command) {
    let user = unprivileged();
    if !user.is_me {
        command.uid(user.uid).gid(user.gid);
    }
}

/// Hands `path` and all below it to [`unprivileged`].
pub fn give_away(path: &Path) {
    let user = unprivileged();
    if user.is_me {
        return;
    }
    fn walk(path: &Path, user: &User) {
        std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)).unwrap();
        if fs::symlink_metadata(path).unwrap().is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), user);
            }
        }
    }
    walk(path, &user);
    chown(path, Some(user.uid), Some(user.gid)).unwrap();
}
