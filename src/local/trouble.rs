//! The words for what goes wrong with files: what was tried, where, why, and what to do about it.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{Error, Kind, Reach, safe_line};

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> String {
    safe_line(&String::from_utf8_lossy(&path.as_os_str().to_owned().into_vec()))
}

/// The error for a symbolic link where a directory should be.
pub(super) fn is_a_link(path: &Path) -> Error {
    Error::new(Kind::LocalTree, "This is a symbolic link, and Mailtide follows none below the root")
        .hint("Put the directory itself there (a bind mount will do), or leave the mailbox out with `mailboxes`.")
        .at(shown(path))
}

/// What a copy that was put back over a tree leaves: the same file twice, with other flags.
const SAME_NAME: &str = "Where two files of a mailbox are called the same but for what is behind `:2,`, give one of them another name before \
                         it, or remove it if both are the same message.";

/// The error for `e` met while trying to `doing` (a verb and what it is done to) at `path`.
pub(super) fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    let shortage = is_shortage(&e);
    let again = "run the same command again; what was done is kept.";
    // The system's own words follow; here only what is clearer than these.
    let (why, hint) = match e.kind() {
        io::ErrorKind::StorageFull => (": the disk is full", format!("Free some space and {again}")),
        io::ErrorKind::QuotaExceeded => (": the disk quota is used up", format!("Free some space and {again}")),
        io::ErrorKind::FileTooLarge => {
            (": the file is larger than it may be", format!("Raise the limit (`ulimit -f unlimited`) and {again}"))
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            (": the file system is mounted read-only", format!("Mount it for writing and {again}"))
        }
        io::ErrorKind::InvalidFilename => {
            (": the name is too long", "Flags stand at its end; give the file a shorter name before `:2,`.".to_owned())
        }
        io::ErrorKind::PermissionDenied => {
            ("", "Look at its owner and mode with `ls -ld`; it must belong to you.".to_owned())
        }
        io::ErrorKind::NotADirectory => {
            ("", "Something else stands where a directory should be; look at it with `ls -ld`.".to_owned())
        }
        io::ErrorKind::AlreadyExists => (": something has that name already", SAME_NAME.to_owned()),
        // What `Dir` says of a link, a FIFO, a socket where a message should be.
        io::ErrorKind::Other => ("", "Move it out of the mailbox: only plain files are messages.".to_owned()),
        _ if shortage => ("", TOO_MANY_FILES.to_owned()),
        _ => ("", String::new()),
    };
    let error = Error::new(Kind::LocalTree, format!("Could not {doing}{why}")).because(e).at(shown(path));
    let error = if shortage { error.of_the_run() } else { error };
    if hint.is_empty() { error } else { error.hint(hint) }
}

const TOO_MANY_FILES: &str =
    "Raise the limit (`ulimit -n 4096`), or lower `connections`; what else it may hit in this run is not told.";

/// Whether the process, or the system, has as many files open as it may: the file at hand is not to blame.
fn is_shortage(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE))
}

/// The same error once more, for the next item that it hits.
pub(super) fn repeated(e: &Error) -> Error {
    let again = Error::new(e.kind(), e.to_string());
    let again = if e.reach() == Reach::Run { again.of_the_run() } else { again };
    match e.hint_text() {
        Some(hint) => again.hint(hint),
        None => again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_no_fault_of_the_file() {
        let e = failed("read the message", Path::new("/m"), Errno::MFILE.into());
        assert!(e.hint_text().unwrap().contains("ulimit -n"), "{e}");
        assert_eq!((e.reach(), repeated(&e).reach()), (Reach::Run, Reach::Run));
        assert_eq!(failed("read the message", Path::new("/m"), Errno::ACCESS.into()).reach(), Reach::Here);
    }

    #[test]
    fn a_full_disk_is_said_in_words() {
        let e = failed("write the message", Path::new("/m"), Errno::NOSPC.into());
        assert_eq!(e.kind(), Kind::LocalTree);
        assert!(e.to_string().starts_with("/m: Could not write the message: the disk is full"), "{e}");
        assert!(e.hint_text().unwrap().contains("Free some space"));
    }

    #[test]
    fn a_name_that_is_taken_says_what_may_have_it() {
        let e = failed("change the flags of the message", Path::new("/m"), Errno::EXIST.into());
        assert!(e.to_string().contains("something has that name already"), "{e}");
        assert!(e.hint_text().unwrap().contains("`:2,`"), "{e}");
    }
}
