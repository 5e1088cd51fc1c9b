//! A line of an old configuration, and how it is named without giving a secret away.

use crate::error::safe_text;

/// A line of an old configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The line it begins on, from 1.
    pub line: usize,
    /// The key as it is written.
    pub key: String,
    /// The value, unquoted; words with one space between them.
    pub value: String,
}

impl Setting {
    /// Whether the value is a secret by its key's name: it is never shown then.
    fn is_secret(&self) -> bool {
        let key = self.key.to_lowercase();
        let harmless = ["eval", "cmd", "command", "file", "passcmd"].iter().any(|end| key.ends_with(end));
        !harmless && ["pass", "secret", "token"].iter().any(|word| key.contains(word))
    }

    /// The setting as notes name it, with its line; no secret is in it.
    pub fn shown(&self) -> String {
        let value: String = self.value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value = if self.is_secret() { "…".to_owned() } else { safe_text(&value, 120) };
        let space = if value.is_empty() { "" } else { " " };
        format!("`{}{space}{value}` (line {})", self.key, self.line)
    }

    /// The value as a truth, as most tools write one; nothing at all is `yes`.
    pub fn truth(&self) -> Option<bool> {
        match self.value.trim().to_lowercase().as_str() {
            "" | "yes" | "true" | "on" | "1" => Some(true),
            "no" | "false" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}
