//! `mailtide check`: looking at everything a run needs, changing nothing.
//!
//! A [`Finding`] is one line: what was looked at, how good it is, and the fix. A check goes on after a failure as far as
//! what follows does not rest on it. The order is that of a run: configuration, server, tree, state, lock.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `way` | name resolution, TCP, TLS |
//! | `server` | an IMAP server: login, mailboxes |
//! | `maildrop` | a POP3 server: login, what it can, what its provider does otherwise |
//! | `capabilities` | what an IMAP server can, what that buys and what its lack costs |
//! | `before` | what another program fetched before the first run |
//! | `tree` | the local tree |
//! | `kept` | the state and the lock |

mod before;
mod capabilities;
mod kept;
mod maildrop;
mod server;
mod tree;
mod way;

use std::path::Path;

use crate::config::Account;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::mail::UnixSeconds;
use crate::secret::Secret;
use crate::state::state_dir;
use crate::stop::Stop;

/// What is to be checked, and what the check needs for it.
pub struct Subject<'a> {
    /// The account.
    pub account: &'a Account,
    /// Reads the password.
    pub secret: &'a (dyn Fn() -> Result<Secret> + Sync),
    /// The configuration the account is from; `None` when it was given as a URL.
    pub config: Option<&'a Path>,
    /// When to stop.
    pub stop: &'a Stop,
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Ok,
    /// A run works, and a person should know this.
    Warn,
    /// A run would end with this exit code.
    Fail(Exit),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How good it is.
    pub grade: Grade,
    /// What was looked at, a word.
    pub subject: &'static str,
    /// What was found, a full sentence without the final stop; foreign text in it is not yet safe for a terminal.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding { grade: Grade::Ok, subject, what: what.into(), fix: None }
    }

    fn warn(subject: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { grade: Grade::Warn, subject, what: what.into(), fix: Some(fix.into()) }
    }

    fn note(subject: &'static str, what: impl Into<String>) -> Finding {
        Finding { grade: Grade::Warn, subject, what: what.into(), fix: None }
    }

    fn error(subject: &'static str, error: &Error) -> Finding {
        let fix = error.hint_text().map(str::to_owned);
        Finding { grade: Grade::Fail(error.kind().into()), subject, what: error.to_string(), fix }
    }

    /// The exit code that a run would end with because of this.
    pub fn exit(&self) -> Exit {
        match self.grade {
            Grade::Ok | Grade::Warn => Exit::InSync,
            Grade::Fail(exit) => exit,
        }
    }
}

/// Looks at everything the account needs; findings are given to `put` as they are made.
///
/// # Errors
/// Kind `Interrupted` only: whatever is wrong is a finding.
pub fn check(subject: &Subject<'_>, put: &mut dyn FnMut(Finding)) -> Result<()> {
    put(configured(subject));
    match subject.account {
        Account::Imap(account) => server::check(subject, account, put)?,
        Account::Pop3(account) => maildrop::check(subject, account, put)?,
    }
    subject.stop.check()?;
    let state_dir = match state_dir() {
        Ok(dir) => dir,
        Err(error) => {
            put(Finding::error("state", &error));
            return Ok(());
        }
    };
    let known = kept::state(&state_dir, subject.account.name(), put);
    if let Account::Pop3(account) = subject.account {
        before::check(account, &state_dir, put);
    }
    tree::check(subject.account, known, put);
    kept::lock(&state_dir, subject.account.name(), known, subject.stop, put)
}

fn configured(subject: &Subject<'_>) -> Finding {
    let account = subject.account;
    let place = subject.config.map_or("from the URL".to_owned(), |path| path.display().to_string());
    let (user, server, root) = (account.user(), account.server(), account.local().root.display());
    let password = account.secret().describe();
    Finding::ok("config", format!("{place}: {user} at {server}, mail in {root}, password from {password}"))
}

/// Gives an interruption on; everything else is a finding.
fn found(subject: &'static str, error: Error, put: &mut dyn FnMut(Finding)) -> Result<()> {
    if error.kind() == Kind::Interrupted {
        return Err(error);
    }
    put(Finding::error(subject, &error));
    Ok(())
}

/// A point in time in the local zone, to the minute.
pub fn local_time(at: UnixSeconds) -> Option<String> {
    let stamp = jiff::Timestamp::from_second(at.0).ok()?;
    Some(stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string())
}
