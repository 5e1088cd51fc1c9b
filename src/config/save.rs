//! A configuration is written once: nothing that is there is ever replaced, and nothing half is left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Writes `text` to `path`, for its owner alone; directories are made as they are needed.
///
/// # Errors
/// Kind `Config` when there is something at `path`, or it cannot be written.
pub fn create(path: &Path, text: &str) -> Result<()> {
    let failed = |e: std::io::Error| match e.kind() {
        ErrorKind::AlreadyExists => Error::new(Kind::Config, "The file is there already and is not overwritten")
            .at(path.display())
            .hint("Name another, or move this one away first: `mv FILE FILE.old`."),
        _ => Error::new(Kind::Config, "The configuration cannot be written").at(path.display()).because(e),
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(failed)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| File::open(dir)?.sync_all());
    written.map_err(|e| {
        // It is ours alone, and half.
        let _ = fs::remove_file(path);
        failed(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/config.toml");
        create(&path, "one").unwrap();
        let error = create(&path, "two").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.what().contains("not overwritten"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        std::os::unix::fs::symlink(dir.path().join("nowhere"), dir.path().join("link")).unwrap();
        assert!(create(&dir.path().join("link"), "three").is_err() && !dir.path().join("nowhere").exists());
    }
}
