//! Whether a run would be allowed what it has to do in a tree, for whoever only looks: nothing is made or changed.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::fs::Access;

use super::dir::Dir;
use super::store::Store;
use super::trouble::{failed, shown};
use crate::error::{Error, Result};
use crate::mail::MailboxName;

/// What a run does in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It looks what is there.
    Read,
    /// It delivers, renames and removes as well.
    Change,
}

impl Need {
    fn access(self) -> Access {
        let read = Access::READ_OK | Access::EXEC_OK;
        match self {
            Need::Read => read,
            Need::Change => read | Access::WRITE_OK,
        }
    }
}

const ITSELF: &str = ".";

impl Store {
    /// Whether the root may be written to: each run that changes anything is counted there.
    pub fn allows_marking(&self) -> Result<()> {
        let root = &self.inner().root;
        let allowed = root.allows(ITSELF.as_ref(), Need::Change.access());
        allowed.map_err(|e| refused("write to the Maildir tree", root.path(), e))
    }

    /// Whether a mailbox that is there allows what is needed.
    pub fn allows(&self, mailbox: &MailboxName, need: Need) -> Result<()> {
        let dir = self.boxes(mailbox)?.dir;
        let parts: &[&str] = match need {
            Need::Read => &["new", "cur"],
            Need::Change => &["tmp", "new", "cur"],
        };
        for part in parts {
            part_allows(&dir, part.as_ref(), need)?;
        }
        Ok(())
    }
}

fn part_allows(dir: &Dir, part: &OsStr, need: Need) -> Result<()> {
    let doing = match need {
        Need::Read => "read the mailbox's directory",
        Need::Change => "write to the mailbox's directory",
    };
    match dir.allows(part, need.access()) {
        // A run makes a missing `tmp`.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            dir.allows(ITSELF.as_ref(), need.access()).map_err(|e| refused(doing, dir.path(), e))
        }
        allowed => allowed.map_err(|e| refused(doing, &dir.path().join(part), e)),
    }
}

/// Whether a tree that is not there could be made.
pub fn allows_making(root: &Path) -> Result<()> {
    let absolute = std::path::absolute(root).map_err(|e| failed("look at the Maildir tree", root, e))?;
    let Some(above) = absolute.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok()) else {
        return Ok(());
    };
    let doing = "make the Maildir tree here";
    // It need not be readable.
    let allowed = rustix::fs::access(above, Access::WRITE_OK | Access::EXEC_OK);
    let allowed = if above.is_dir() { allowed.map_err(Into::into) } else { Err(io::ErrorKind::NotADirectory.into()) };
    allowed.map_err(|e| refused(doing, above, e))
}

fn refused(doing: &str, path: &Path, e: io::Error) -> Error {
    let is_closed = e.kind() == io::ErrorKind::PermissionDenied;
    let error = failed(doing, path, e);
    if !is_closed {
        return error;
    }
    error.hint(format!("If it belongs to you, which `ls -ld` tells, open it: `chmod u+rwx '{}'`.", shown(path)))
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::{folder, mailbox};
    use super::*;

    #[test]
    fn an_open_tree_allows_everything_without_a_tmp_too() {
        let (temp, folder, path) = folder();
        drop(folder);
        std::fs::remove_dir(path.join("tmp")).unwrap();
        let options = super::super::store::tests::options(&temp.path().join("Mail"), super::super::Layout::Nested);
        let store = Store::open(&options, super::super::Expected::First).unwrap().store;
        store.allows_marking().unwrap();
        [Need::Read, Need::Change].iter().for_each(|need| store.allows(&mailbox("box"), *need).unwrap());
        assert!(!path.join("tmp").exists());
        assert!(store.allows(&mailbox("none"), Need::Read).is_err());
    }

    #[test]
    fn a_tree_can_be_made_in_directories_only() {
        let temp = tempfile::tempdir().unwrap();
        allows_making(&temp.path().join("a/b/Mail")).unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        // Root may do anything with a file, if only somebody may run it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(temp.path().join("file"), open).unwrap();
        let error = allows_making(&temp.path().join("file/Mail")).unwrap_err();
        assert!(error.to_string().contains("file: Could not make") && error.hint_text().is_some(), "{error}");
    }
}
