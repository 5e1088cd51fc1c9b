//! Whatever stands in another tool's configuration. Entry point of the target in `tests/fuzz`, and of the mutation test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{File, Surroundings};
use super::{Tool, made_of};
use crate::config::{Account, Config};
use crate::error::Kind;

/// What is made of a configuration is one that Mailtide takes, with the accounts that were said. The first octet is the
/// tool.
pub fn import(data: &[u8]) {
    let Some((tool, text)) = data.split_first() else { return };
    let Some(tool) = Tool::ALL.get(usize::from(*tool) % Tool::ALL.len()).copied() else { return };
    let text = String::from_utf8_lossy(text).into_owned();
    if text.split(|c: char| c.is_whitespace() || "=:,()".contains(c)).any(is_elsewhere) {
        return;
    }
    let home = PathBuf::from("/nonexistent/home");
    let around = Surroundings { config_home: home.join(".config"), home, variables: [].into() };
    let file = File { path: around.home.join("old"), text };
    match made_of(tool, &[file], &around) {
        Ok(imported) => {
            assert!(!imported.taken.is_empty() || !imported.refused.is_empty());
            let read = Config::parse(Path::new("config.toml"), &imported.text);
            assert_eq!(read.is_ok(), !imported.taken.is_empty(), "{read:?}\n{}", imported.text);
            let names: BTreeSet<_> = read.iter().flat_map(|config| &config.accounts).map(Account::name).collect();
            assert_eq!(names, imported.taken.iter().map(String::as_str).collect(), "{}", imported.text);
        }
        Err(error) => assert_eq!(error.kind(), Kind::Config, "{error}"),
    }
}

/// Whether a word is a path outside the home directory: trees that an old configuration names are looked at, and nobody
/// knows how large they are here.
fn is_elsewhere(word: &str) -> bool {
    word.trim_start_matches(['"', '\'', '\\']).starts_with(['/', '.'])
}
