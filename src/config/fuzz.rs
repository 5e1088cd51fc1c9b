//! Whatever stands in a configuration. Entry point of the target in `tests/fuzz`, and of the mutation test.

use std::path::Path;

use super::{Account, Config, Layout, UrlOptions, duration, size};
use crate::error::Kind;

/// A text is a configuration, or is refused in words that name the file.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Config::parse(Path::new("/c/config.toml"), &text) {
        Ok(config) => {
            assert!(!config.accounts.is_empty());
            let names: std::collections::BTreeSet<_> = config.accounts.iter().map(Account::name).collect();
            assert_eq!(names.len(), config.accounts.len(), "each name once");
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Config, "{error}");
            let shown = error.to_string();
            assert!(shown.contains("/c/config.toml"), "{shown}");
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
    let line = text.lines().next().unwrap_or_default();
    let _ = duration::parse(line);
    let _ = size::parse(line);
    let layout = Layout::Nested;
    let _ = Account::from_url(line, UrlOptions { maildir: "/m".into(), layout, ca_file: None, password_command: None });
}
