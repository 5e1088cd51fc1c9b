//! The configuration: accounts, from a TOML file or from a URL on the command line, resolved and checked.
//!
//! An [`Account`] holds the options of everything a run needs, each in the type of the layer that takes it; nothing
//! behind it asks for a default, reads the environment or expands a `~`. No password stands in a configuration, only
//! where to get it.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `file` | the TOML as written, every value with its line |
//! | `account`, `imap`, `pop3`, `server` | what the keys mean, defaults, values out of range |
//! | `url` | an account from `imaps://me@host` or `pop3s://me@host` |
//! | [`save`] | a configuration written to a file that is not there yet |
//! | `roots` | no two accounts share or nest their trees |
//! | [`fetched_before`] | what getmail or mpop has written down as fetched |
//! | [`filter`] | which mailboxes take part |
//! | [`rename`] | mailboxes with another name in the tree |
//! | [`duration`], [`size`], [`nearest`] | `30s` · `20M` · "did you mean" |

mod account;
pub mod duration;
pub mod fetched_before;
mod file;
pub mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod imap;
pub mod nearest;
mod pop3;
pub mod rename;
mod roots;
pub mod save;
mod server;
pub mod size;
mod url;

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub use self::account::KEYS;
pub use self::fetched_before::{Fetched, FetchedBefore};
pub use self::filter::MailboxFilter;
pub use self::rename::Renames;
pub use self::url::UrlOptions;
use crate::error::{Error, Kind, Result};
// The option types of the layers, for those who choose options and may not use the layers.
pub use crate::local::{Layout, LocalOptions};
use crate::mail::MailboxName;
pub use crate::maildrop::Policy as MaildropPolicy;
pub use crate::reconcile::guard::{Allowed, MaxDelete};
pub use crate::reconcile::view::{Deletions, Direction, Keywords};
use crate::remote::imap::Capability;
pub use crate::remote::{ImapOptions, Pop3Options, ServerOptions};
use crate::secret::SecretSource;

/// A working account in six lines, as it is shown to who has none.
pub const EXAMPLE: &str = "\
[accounts.me]
maildir = \"~/Mail\"
[accounts.me.imap]
host = \"imap.example.org\"
user = \"me@example.org\"
password = { command = \"pass show mail/me\" }
";

/// The variable that holds the password of an account that names no other source.
pub const PASSWORD_VARIABLE: &str = "MAILTIDE_PASSWORD";

/// An account: a login on a server and the local tree that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// On an IMAP server.
    Imap(ImapAccount),
    /// On a POP3 server.
    Pop3(Pop3Account),
}

/// An account on an IMAP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapAccount {
    /// Its name in the configuration; made from URL and tree for an account without one.
    pub name: String,
    /// The server and how to speak to it.
    pub imap: ImapOptions,
    /// Where the password comes from.
    pub secret: SecretSource,
    /// The tree.
    pub local: LocalOptions,
    /// Which way changes go.
    pub direction: Direction,
    /// What a deletion on one side does to the other.
    pub deletions: Deletions,
    /// Whether keywords are synchronised.
    pub keywords: Keywords,
    /// When the guard refuses.
    pub max_delete: MaxDelete,
    /// Which mailboxes take part, by their names in the tree.
    pub mailboxes: MailboxFilter,
    /// Mailboxes with another name in the tree.
    pub rename: Renames,
    /// The mailbox on the server for deleted mail, where it is not to be found by `\Trash`.
    pub trash: Option<MailboxName>,
}

/// An account on a POP3 server: mail comes one way, into one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop3Account {
    /// Its name in the configuration; made from URL and tree for an account without one.
    pub name: String,
    /// The server and how to speak to it.
    pub pop3: Pop3Options,
    /// Where the password comes from.
    pub secret: SecretSource,
    /// The tree.
    pub local: LocalOptions,
    /// Where the mail goes.
    pub mailbox: MailboxName,
    /// What is fetched, and how long it stays on the server.
    pub policy: MaildropPolicy,
    /// What the deletion of a file does to the server.
    pub local_deletion: LocalDeletion,
    /// Whether what another account delivered is delivered again.
    pub dedup: Dedup,
    /// What another program has fetched from the maildrop before.
    pub fetched_before: Option<FetchedBefore>,
    /// When the guard refuses deletions because files are gone.
    pub max_delete: MaxDelete,
    /// Whether `mailbox` takes part, by its name in the tree; the command line narrows it.
    pub mailboxes: MailboxFilter,
}

impl Pop3Account {
    /// The login as the tree's marker names it: user, host and port.
    pub fn login(&self) -> String {
        format!("{}@{}", self.pop3.user, self.pop3.server)
    }
}

/// What the deletion of a file does to the message in the maildrop (`delete-after-local-deletion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalDeletion {
    /// Nothing.
    Ignored,
    /// It is deleted there too.
    Repeated,
}

/// What becomes of a message that another account has delivered into the same mailbox, octet for octet (`dedup`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedup {
    /// It is delivered once more.
    Each,
    /// The file that is there serves for both.
    Once,
}

impl Account {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Account::Imap(account) => &account.name,
            Account::Pop3(account) => &account.name,
        }
    }

    /// The server.
    pub fn server(&self) -> &ServerOptions {
        match self {
            Account::Imap(account) => &account.imap.server,
            Account::Pop3(account) => &account.pop3.server,
        }
    }

    /// The login name.
    pub fn user(&self) -> &str {
        match self {
            Account::Imap(account) => &account.imap.user,
            Account::Pop3(account) => &account.pop3.user,
        }
    }

    /// Where the password comes from.
    pub fn secret(&self) -> &SecretSource {
        match self {
            Account::Imap(account) => &account.secret,
            Account::Pop3(account) => &account.secret,
        }
    }

    /// The tree.
    pub fn local(&self) -> &LocalOptions {
        match self {
            Account::Imap(account) => &account.local,
            Account::Pop3(account) => &account.local,
        }
    }

    /// Which mailboxes take part.
    pub fn mailboxes(&self) -> &MailboxFilter {
        match self {
            Account::Imap(account) => &account.mailboxes,
            Account::Pop3(account) => &account.mailboxes,
        }
    }

    /// Takes part of the mailboxes only, as the command line asks.
    ///
    /// # Errors
    /// Kind `Usage` for what is no pattern.
    pub fn narrow(&mut self, globs: &[String]) -> Result<()> {
        match self {
            Account::Imap(account) => account.mailboxes = account.mailboxes.narrowed(globs)?,
            Account::Pop3(account) => account.mailboxes = account.mailboxes.narrowed(globs)?,
        }
        Ok(())
    }

    /// Makes an account from `imaps://user@host[:port]` (TLS) or `imap://…` (STARTTLS required); likewise `pop3s://…` and
    /// `pop3://…`.
    ///
    /// Its name is made of the user, the host and the place of the tree, so that the same command finds its state again.
    ///
    /// # Errors
    /// Kind `Usage` for a URL that is none, has no user, or holds a password.
    pub fn from_url(url: &str, options: UrlOptions) -> Result<Account> {
        url::account(url, options)
    }
}

/// A configuration file, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    /// The accounts, in the file's order; at least one.
    pub accounts: Vec<Account>,
}

impl Config {
    /// Reads `path`, or the file at the usual place.
    ///
    /// # Errors
    /// Kind `Config` with file, line and key: no such file, not TOML, an unknown key, a value of the wrong type or out
    /// of range, two accounts in one tree, or no account at all.
    pub fn load(path: Option<&Path>) -> Result<Config> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path()?,
        };
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
        Config::parse(&path, &text)
    }

    /// Reads `text` as what stands, or is going to stand, in `path`.
    ///
    /// # Errors
    /// As [`Config::load`], but for a file that is not there.
    pub fn parse(path: &Path, text: &str) -> Result<Config> {
        let accounts = file::Source { path, text }.parse(account::accounts)?;
        if accounts.is_empty() {
            return Err(Error::new(Kind::Config, "No account is configured")
                .at(path.display())
                .hint(format!("An account takes six lines:\n{EXAMPLE}")));
        }
        roots::apart(&accounts).map_err(|e| e.at(path.display()))?;
        Ok(Config { path: path.to_owned(), accounts })
    }
}

/// Whether `name` is a capability that `disable` of an IMAP account takes.
pub fn can_disable(name: &str) -> bool {
    name.starts_with("AUTH=") || Capability::ALL.into_iter().any(|capability| capability.name() == name)
}

/// `$XDG_CONFIG_HOME/mailtide/config.toml`.
///
/// # Errors
/// Kind `Config` when there is neither that variable nor a home directory.
pub fn default_path() -> Result<PathBuf> {
    let base = etcetera::choose_base_strategy().map_err(|e| {
        Error::new(Kind::Config, "The configuration cannot be found").because(e).hint("Name it with `--config FILE`.")
    })?;
    Ok(base.config_dir().join("mailtide").join("config.toml"))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::Config, "There is no configuration").at(path.display()).hint(format!(
                "Write one of six lines there, or name another with `--config FILE`:\n{EXAMPLE}\
                 Or go without: `mailtide sync imaps://me@example.org@imap.example.org --maildir ~/Mail`."
            ))
        }
        std::io::ErrorKind::InvalidData => {
            Error::new(Kind::Config, "The configuration is not UTF-8").at(path.display())
        }
        _ => Error::new(Kind::Config, "The configuration cannot be read").at(path.display()).because(error),
    }
}

#[cfg(test)]
mod tests;
