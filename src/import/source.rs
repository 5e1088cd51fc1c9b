//! Where the old tools keep their files, and what paths in them mean. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::Tool;
use crate::error::{Error, Kind, Result};

/// The home directory and the environment, as far as old configurations refer to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The home directory.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub config_home: PathBuf,
    /// The environment.
    pub variables: BTreeMap<String, String>,
}

/// A file of the old tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds; octets that are no UTF-8 are replaced.
    pub text: String,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// Kind `Config` without a home directory.
    pub fn current() -> Result<Surroundings> {
        let base = etcetera::choose_base_strategy().map_err(|e| {
            Error::new(Kind::Config, "There is no home directory to look in").because(e).hint("Set $HOME.")
        })?;
        let utf8 =
            |(k, v): (std::ffi::OsString, std::ffi::OsString)| Some((k.into_string().ok()?, v.into_string().ok()?));
        Ok(Surroundings {
            home: base.home_dir().to_owned(),
            config_home: base.config_dir(),
            variables: std::env::vars_os().filter_map(utf8).collect(),
        })
    }

    /// The places where `tool` looks for its configuration, in its order.
    pub fn places(&self, tool: Tool) -> Vec<PathBuf> {
        let config = |below: &str| self.config_home.join(below);
        let home = |below: &str| self.home.join(below);
        match tool {
            Tool::Mbsync => vec![home(".mbsyncrc"), config("isyncrc")],
            Tool::Offlineimap => vec![config("offlineimap/config"), home(".offlineimaprc")],
            Tool::Getmail => vec![config("getmail"), home(".getmail")],
            Tool::Mpop => vec![home(".mpoprc"), config("mpop/config")],
        }
    }

    /// The old configuration: `named`, or what is first found at the usual places. Of getmail, whose rc files hold an
    /// account each, it is what is found at any of them; a directory stands for all rc files in it.
    ///
    /// # Errors
    /// Kind `Config` when there is none, with the places that were looked at, or one cannot be read.
    pub fn files(&self, tool: Tool, named: Option<&Path>) -> Result<Vec<File>> {
        let places = named.map_or_else(|| self.places(tool), |path| vec![path.to_owned()]);
        let most = if tool == Tool::Getmail { places.len() } else { 1 };
        let there: Vec<&PathBuf> = places.iter().filter(|path| path.exists()).take(most).collect();
        if there.is_empty() {
            let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::new(Kind::Config, format!("There is no configuration of {tool}"))
                .at(looked.join(", "))
                .hint(format!("Name it: `mailtide import --from {tool} FILE`.")));
        }
        let (mut files, mut real) = (Vec::new(), BTreeSet::new());
        for place in there {
            let paths = match (place.is_dir(), tool) {
                (false, _) => vec![place.clone()],
                (true, Tool::Getmail) => rc_files(place)?,
                (true, Tool::Mbsync | Tool::Offlineimap | Tool::Mpop) => {
                    let what = format!("The configuration of {tool} is a file, not a directory");
                    return Err(Error::new(Kind::Config, what)
                        .at(place.display())
                        .hint(format!("Name the file: `mailtide import --from {tool} FILE`.")));
                }
            };
            for path in paths {
                // One place may be the other, under another name.
                if real.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                    files.push(read(tool, &path)?);
                }
            }
        }
        Ok(files)
    }

    /// A path as Mailtide's configuration writes it: variables filled in, `~` for the home directory.
    pub fn path(&self, text: &str) -> String {
        let filled = self.filled(text.trim());
        let filled = if filled == "~" { "~/".to_owned() } else { filled };
        let trimmed = if filled.len() > 1 { filled.trim_end_matches('/') } else { &filled };
        let home = self.home.to_string_lossy();
        match trimmed.strip_prefix(home.as_ref()) {
            Some("") => "~/.".to_owned(),
            Some(below) if below.starts_with('/') => format!("~{below}"),
            _ if trimmed == "~" => "~/.".to_owned(),
            _ => trimmed.to_owned(),
        }
    }

    /// The path itself, to look at.
    pub fn real(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(below) => self.home.join(below),
            None => PathBuf::from(path),
        }
    }

    fn filled(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, behind) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(split) => split,
                None => after.split_at(after.find(|c| !word(c)).unwrap_or(after.len())),
            };
            match self.variables.get(name) {
                Some(value) => {
                    out.push_str(value);
                    rest = behind;
                }
                None => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// The files in a directory of getmail's that may hold an account; what it has fetched, and what an editor left, does not.
fn rc_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(|e| unreadable(Tool::Getmail, dir, e))?;
    let is_other = |name: &str| {
        name.starts_with('.') || name.starts_with("oldmail-") || name.ends_with(".json") || name.ends_with('~')
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && !path.file_name().is_some_and(|n| is_other(&n.to_string_lossy())))
        .collect();
    paths.sort();
    Ok(paths)
}

fn read(tool: Tool, path: &Path) -> Result<File> {
    let bytes = std::fs::read(path).map_err(|e| unreadable(tool, path, e))?;
    Ok(File { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
}

fn unreadable(tool: Tool, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Config, format!("The configuration of {tool} cannot be read"))
        .at(path.display())
        .because(error)
        .hint(format!(
            "Look at it with `ls -l '{}'`, or name another: `mailtide import --from {tool} FILE`.",
            path.display()
        ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A home directory that does not exist.
    pub(in super::super) fn nowhere() -> Surroundings {
        at(Path::new("/home/me"))
    }

    /// A home directory.
    pub(in super::super) fn at(home: &Path) -> Surroundings {
        Surroundings {
            home: home.to_owned(),
            config_home: home.join(".config"),
            variables: [("HOME".to_owned(), home.display().to_string()), ("MAIL".into(), "/srv/mail".into())].into(),
        }
    }

    #[test]
    fn paths_are_written_as_short_as_they_can_be() {
        for (old, new) in [
            ("~/Mail/", "~/Mail"),
            ("/home/me/Mail", "~/Mail"),
            ("$HOME/Mail//", "~/Mail"),
            ("${MAIL}/me/$NONE", "/srv/mail/me/$NONE"),
            ("/home/menace/Mail", "/home/menace/Mail"),
            ("~", "~/."),
            ("/", "/"),
            ("~jeff/Maildir/", "~jeff/Maildir"),
        ] {
            assert_eq!(nowhere().path(old), new, "{old}");
        }
    }

    #[test]
    fn the_places_that_were_looked_at_are_named() {
        for tool in Tool::ALL {
            let error = nowhere().files(tool, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            for place in nowhere().places(tool) {
                assert!(error.to_string().contains(&place.display().to_string()), "{error}");
            }
            assert!(error.hint_text().unwrap().contains(&format!("--from {tool} FILE")));
        }
    }

    #[test]
    fn getmail_has_one_account_a_file() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join(".config/getmail");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["work", "home", "home~", "oldmail-x-110-me", ".hidden"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let names = |named: Option<&Path>| -> Vec<_> {
            let files = at(home.path()).files(Tool::Getmail, named).unwrap();
            files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(None), ["home", "work"]);
        std::fs::write(dir.join("getmailrc"), "").unwrap();
        let old = home.path().join(".getmail");
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("rc2"), "").unwrap();
        assert_eq!(names(None), ["getmailrc", "home", "work", "rc2"]);
        assert_eq!(names(Some(&dir)), ["getmailrc", "home", "work"]);
        assert!(at(home.path()).files(Tool::Mpop, Some(&dir)).unwrap_err().what().contains("not a directory"));
    }
}
