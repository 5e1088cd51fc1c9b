//! A password file: regular, small, readable by its owner only.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// More than any password.
const LIMIT: u64 = 64 * 1024;

/// The file's text without its last line end.
///
/// # Errors
/// Kind `Config` when it cannot be read, others can read it, or it is empty, larger than 64 KiB or not UTF-8.
pub(super) fn contents(path: &Path, what_for: &str) -> Result<String> {
    let fail =
        |what: &str| Error::new(Kind::Config, format!("The password file for {what_for} {what}")).at(path.display());
    let unreadable = |e: std::io::Error| fail("cannot be read").because(e);
    // Before opening: to open a FIFO would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(fail("is not a regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fail(&format!("is open to others (mode {:03o})", mode & 0o777))
            .hint(format!("Type `chmod 600 '{}'`; if others may have read it, change the password.", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(fail("is larger than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| fail("is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(fail("is empty").hint("It has to hold the password and nothing else."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn one_line_end_is_dropped() {
        for (bytes, password) in [("a b\n", "a b"), ("a\r\n", "a"), ("a", "a"), (" a \n\n", " a \n")] {
            let (_dir, path) = file(bytes.as_bytes(), 0o600);
            assert_eq!(contents(&path, "it").unwrap(), password);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o610] {
            let (_dir, path) = file(b"secret", mode);
            let error = contents(&path, "account `work`").unwrap_err();
            assert!(error.hint_text().unwrap().contains("chmod 600"), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }

    #[test]
    fn what_is_no_password_is_refused() {
        for bytes in [&b""[..], b"\n", b"\xff", &[b'x'; 70_000]] {
            let (_dir, path) = file(bytes, 0o600);
            assert_eq!(contents(&path, "it").unwrap_err().kind(), Kind::Config);
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(contents(dir.path(), "it").unwrap_err().what().contains("not a regular file"));
        assert!(contents(&dir.path().join("none"), "it").unwrap_err().what().contains("cannot be read"));
    }
}
