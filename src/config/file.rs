//! The TOML as written: tables and values that know the line they stand on.
//!
//! Every complaint names the file, the line and the key; what a key means is the business of `account`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Kind, Result};

use super::nearest::nearest;

/// A file and its text, to turn an offset into a line.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    /// Parses the text and hands the top table to `read`.
    ///
    /// # Errors
    /// Kind `Config` with the line when the text is not TOML, and whatever `read` gives.
    pub(super) fn parse<T>(self, read: impl FnOnce(Table<'_>) -> Result<T>) -> Result<T> {
        let root = DeTable::parse(self.text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            self.fail(at, format!("This is not TOML: {}", e.message()))
        })?;
        read(Table { source: self, name: String::new(), at: 0, entries: entries(root.get_ref()) })
    }

    fn fail(&self, at: usize, what: impl Into<String>) -> Error {
        let line = self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        Error::new(Kind::Config, what).at(format!("{}:{line}", self.path.display()))
    }
}

fn entries<'a>(table: &'a DeTable<'a>) -> BTreeMap<&'a str, Entry<'a>> {
    let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
        let key: &Spanned<std::borrow::Cow<'a, str>> = key;
        (key.get_ref().as_ref(), Entry { key_at: key.span().start, value })
    };
    table.iter().map(entry).collect()
}

struct Entry<'a> {
    key_at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// A table of the file.
pub(super) struct Table<'a> {
    source: Source<'a>,
    name: String,
    at: usize,
    entries: BTreeMap<&'a str, Entry<'a>>,
}

impl<'a> Table<'a> {
    /// Refuses every key that is not in `known`, the first in the file first; `later` are keys of later versions.
    pub(super) fn only(&self, known: &[&str], later: &[(&str, &str)]) -> Result<()> {
        let unknown = self.entries.iter().filter(|(key, _)| !known.contains(key)).min_by_key(|(_, e)| e.key_at);
        let Some((key, entry)) = unknown else { return Ok(()) };
        let place = if self.name.is_empty() { "at the top level".to_owned() } else { format!("in [{}]", self.name) };
        if let Some((_, why)) = later.iter().find(|(k, _)| k == key) {
            return Err(self.source.fail(entry.key_at, format!("`{key}` {place}: {why}")));
        }
        let error = self.source.fail(entry.key_at, format!("Unknown key `{}` {place}", crate::error::safe_line(key)));
        Err(error.hint(match nearest(key, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("The keys here are {}.", known.join(", ")),
        }))
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let value = self.entries.get(key)?.value;
        Some(Value { source: self.source, name: self.full(key), at: value.span().start, value: value.get_ref() })
    }

    /// The value of a key that has to be there; `example` is a line that would do.
    pub(super) fn need(&self, key: &str, example: &str) -> Result<Value<'a>> {
        self.get(key).ok_or_else(|| {
            self.fail(format!("`{key}` is missing in [{}]", self.name)).hint(format!("Add a line such as `{example}`."))
        })
    }

    /// The keys and their values, in the file's order.
    pub(super) fn all(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_by_key(|(_, entry)| entry.key_at);
        all.into_iter().filter_map(|(key, _)| Some((*key, self.get(key)?))).collect()
    }

    /// An error about the table as a whole.
    pub(super) fn fail(&self, what: impl Into<String>) -> Error {
        self.source.fail(self.at, what)
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// A value of the file.
pub(super) struct Value<'a> {
    source: Source<'a>,
    name: String,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// An error about this value; `what` goes on after its name: "must be …".
    pub(super) fn fail(&self, what: impl std::fmt::Display) -> Error {
        self.source.fail(self.at, format!("`{}` {what}", self.name))
    }

    fn wrong_type(&self, expected: &str) -> Error {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.fail(format!("must be {expected}, not {found}"))
    }

    /// A table.
    pub(super) fn table(&self) -> Result<Table<'a>> {
        let DeValue::Table(table) = self.value else { return Err(self.wrong_type("a table")) };
        Ok(Table { source: self.source, name: self.name.clone(), at: self.at, entries: entries(table) })
    }

    /// A string that is not empty and has no control characters.
    pub(super) fn text(&self) -> Result<&'a str> {
        let DeValue::String(text) = self.value else { return Err(self.wrong_type("a string")) };
        if text.is_empty() {
            return Err(self.fail("is empty"));
        }
        if text.contains(char::is_control) {
            return Err(self.fail("holds a control character"));
        }
        Ok(text.as_ref())
    }

    /// The string, unless the value is of another type.
    pub(super) fn maybe_text(&self) -> Option<&'a str> {
        matches!(self.value, DeValue::String(_)).then(|| self.text().ok()).flatten()
    }

    /// `true` or `false`.
    pub(super) fn yes_no(&self) -> Result<bool> {
        match self.value {
            DeValue::Boolean(yes) => Ok(*yes),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// An integer within `range`.
    pub(super) fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
        let DeValue::Integer(n) = self.value else { return Err(self.wrong_type("an integer")) };
        let parsed = u64::from_str_radix(&n.as_str().replace(['_', '+'], ""), n.radix()).ok();
        parsed.filter(|n| range.contains(n)).ok_or_else(|| {
            let most = if *range.end() == u64::MAX { "up".to_owned() } else { format!("to {}", range.end()) };
            self.fail(format!("must be from {} {most}, not {n}", range.start()))
        })
    }

    /// A duration as a person writes it (`30s`, `1m 30s`), within `range`.
    pub(super) fn duration(&self, range: std::ops::RangeInclusive<Duration>) -> Result<Duration> {
        let DeValue::String(text) = self.value else {
            return Err(self.wrong_type("a duration such as \"30s\""));
        };
        let duration = super::duration::parse(text).map_err(|e| self.fail(format!("is no duration: {e}")))?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        Err(self.fail(format!("must be from {:?} to {:?}", range.start(), range.end())))
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.text()?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meant);
        }
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let error = self.fail(format!("must be {}, not \"{text}\"", quoted.join(" or ")));
        Err(match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => error,
        })
    }

    /// An array's values.
    pub(super) fn list(&self) -> Result<Vec<Value<'a>>> {
        let DeValue::Array(array) = self.value else { return Err(self.wrong_type("an array of strings")) };
        let item = |v: &'a Spanned<DeValue<'a>>| Value {
            source: self.source,
            name: self.name.clone(),
            at: v.span().start,
            value: v.get_ref(),
        };
        Ok(array.iter().map(item).collect())
    }

    /// A path: `~/` is the home directory, a relative path starts at the configuration file's directory.
    pub(super) fn path(&self) -> Result<PathBuf> {
        let text = self.text()?;
        if let Some(below) = text.strip_prefix("~/") {
            let home = etcetera::home_dir().map_err(|e| self.fail("needs a home directory").because(e))?;
            return Ok(home.join(below));
        }
        if text.starts_with('~') {
            return Err(self.fail("starts with `~`").hint("Only `~/…` is understood; write other homes in full."));
        }
        let base = self.source.path.parent().unwrap_or(Path::new(""));
        let absolute = std::path::absolute(base.join(text));
        absolute.map_err(|e| self.fail("cannot be made absolute").because(e))
    }
}
