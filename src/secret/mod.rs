//! Where passwords come from, and the type that keeps them out of every text.
//!
//! A [`Secret`] cannot be formatted, logged or serialised; only [`Secret::expose`] gives its text, and only what sends
//! it to a server calls that. A [`SecretSource`] is read once a run, when a connection is about to need it.
//! A keyring and OAuth2 tokens are not sources of this version.

mod command;
mod file;
mod prompt;

pub use command::NO_BUNDLE;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::stop::Stop;

/// A password, or what stands for one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself; for the bytes that go to the server, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is read from.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line that a shell command prints.
    Command {
        /// The command, as `sh -c` takes it.
        line: String,
        /// How long it may take before it is killed.
        timeout: Duration,
    },
    /// A file that nobody else can read, without its last line end.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// The terminal, asked without echo.
    Prompt,
}

impl SecretSource {
    /// How long a command may take when nothing else is set.
    pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

    /// The kind of source in a word, for a person: `command`, `file`, `$NAME`, `prompt`.
    pub fn describe(&self) -> String {
        match self {
            SecretSource::Command { .. } => "command".into(),
            SecretSource::File(path) => format!("file {}", path.display()),
            SecretSource::Env(name) => format!("${name}"),
            SecretSource::Prompt => "prompt".into(),
        }
    }

    /// Reads the secret; `what_for` completes "the password for …" in messages and in the prompt.
    ///
    /// # Errors
    /// Kind `Config` when the source fails, takes too long, is readable by others or gives nothing; `Interrupted` when
    /// `stop` says so or Ctrl-C is typed at the prompt.
    pub fn read(&self, what_for: &str, stop: &Stop) -> Result<Secret> {
        let text = match self {
            SecretSource::Command { line, timeout } => command::first_line(line, *timeout, what_for, stop)?,
            SecretSource::File(path) => file::contents(path, what_for)?,
            SecretSource::Env(name) => env(name, what_for)?,
            SecretSource::Prompt => prompt::ask(what_for)?,
        };
        Ok(Secret(text))
    }
}

/// Shows the kind only: a command's line may hold the secret itself.
impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({})", self.describe())
    }
}

fn env(name: &str, what_for: &str) -> Result<String> {
    let set = format!("Set it for this run, `{name}=… mailtide …`, or name another source in the configuration.");
    match std::env::var(name) {
        Ok(text) if text.is_empty() => {
            Err(Error::new(Kind::Config, format!("The password for {what_for}: ${name} is empty")).hint(set))
        }
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => {
            Err(Error::new(Kind::Config, format!("The password for {what_for}: ${name} is not set")).hint(set))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::new(Kind::Config, format!("The password for {what_for}: ${name} is not UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_a_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
        let source = SecretSource::Command { line: "echo hunter2".into(), timeout: Duration::ZERO };
        assert_eq!(format!("{source:?}"), "SecretSource(command)");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let source = SecretSource::Env("MAILTIDE_TEST_SURELY_UNSET".into());
        let error = source.read("account `work`", &Stop::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(error.what(), "The password for account `work`: $MAILTIDE_TEST_SURELY_UNSET is not set");
        assert!(error.hint_text().is_some());
    }
}
