//! The configuration: accounts, from a TOML file or from a URL on the command line, resolved and checked.
//!
//! An [`Account`] holds the options of everything a run needs, each in the type of the layer that takes it; nothing
//! behind it asks for a default, reads the environment or expands a `~`. No password stands in a configuration, only
//! where to get it.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `file` | the TOML as written, every value with its line |
//! | `account` | what the keys mean, defaults, values out of range |
//! | `url` | an account from `imaps://me@host` |
//! | [`save`] | a configuration written to a file that is not there yet |
//! | `roots` | no two accounts share or nest their trees |
//! | [`filter`] | which mailboxes take part |
//! | [`rename`] | mailboxes with another name in the tree |
//! | [`duration`], [`nearest`] | `30s` · "did you mean" |

mod account;
pub mod duration;
mod file;
pub mod filter;
pub mod nearest;
pub mod rename;
mod roots;
pub mod save;
mod url;

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub use self::account::KEYS;
pub use self::filter::MailboxFilter;
pub use self::rename::Renames;
pub use self::url::UrlOptions;
use crate::error::{Error, Kind, Result};
// The option types of the layers, for those who choose options and may not use the layers.
pub use crate::local::{Layout, LocalOptions};
use crate::mail::MailboxName;
pub use crate::reconcile::guard::{Allowed, MaxDelete};
pub use crate::reconcile::view::{Deletions, Direction, Keywords};
use crate::remote::imap::Capability;
pub use crate::remote::{ImapOptions, ServerOptions};
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

impl Account {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Account::Imap(account) => &account.name,
        }
    }

    /// The server.
    pub fn server(&self) -> &ServerOptions {
        match self {
            Account::Imap(account) => &account.imap.server,
        }
    }

    /// The login name.
    pub fn user(&self) -> &str {
        match self {
            Account::Imap(account) => &account.imap.user,
        }
    }

    /// Where the password comes from.
    pub fn secret(&self) -> &SecretSource {
        match self {
            Account::Imap(account) => &account.secret,
        }
    }

    /// The tree.
    pub fn local(&self) -> &LocalOptions {
        match self {
            Account::Imap(account) => &account.local,
        }
    }

    /// Which mailboxes take part.
    pub fn mailboxes(&self) -> &MailboxFilter {
        match self {
            Account::Imap(account) => &account.mailboxes,
        }
    }

    /// Takes part of the mailboxes only, as the command line asks.
    ///
    /// # Errors
    /// Kind `Usage` for what is no pattern.
    pub fn narrow(&mut self, globs: &[String]) -> Result<()> {
        match self {
            Account::Imap(account) => account.mailboxes = account.mailboxes.narrowed(globs)?,
        }
        Ok(())
    }

    /// Makes an account from `imaps://user@host[:port]` (TLS) or `imap://…` (STARTTLS required).
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::remote::TlsMode;

    fn load(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn six_lines_make_a_working_account() {
        let config = load(EXAMPLE).unwrap();
        let [Account::Imap(account)] = config.accounts.as_slice() else { panic!("one account") };
        assert_eq!(account.name, "me");
        assert!(account.local.root.is_absolute() && account.local.root.ends_with("Mail"));
        assert_eq!(account.local.layout, Layout::Nested);
        assert_eq!((account.imap.server.port, account.imap.server.tls), (993, TlsMode::Implicit));
        assert_eq!((account.imap.connections, account.imap.compress), (4, false));
        assert_eq!(account.imap.server.timeout, Duration::from_secs(30));
        assert_eq!(account.direction, Direction::Both);
        assert_eq!(account.deletions, Deletions::Expunge);
        assert_eq!(account.max_delete, MaxDelete::Percent(50));
        assert!(account.mailboxes.selects(&MailboxName::inbox()));
        let line = "pass show mail/me".to_owned();
        assert_eq!(account.secret, SecretSource::Command { line, timeout: Duration::from_secs(60) });
    }

    #[test]
    fn every_key_is_read() {
        let config = load(
            r#"
            [accounts.second]
            maildir = "mail/second"
            imap = { host = "b.example.org", user = "b", password = { prompt = true } }

            [accounts.first]
            maildir = "/var/mail/first"
            layout = "maildir++"
            direction = "pull"
            deletions = "trash"
            mailboxes = ["*", "!Spam"]
            rename = { "[Gmail]/All Mail" = "Archive" }
            max-delete = 100
            keywords = false
            trash = "Bin"
            [accounts.first.imap]
            host = "::1"
            port = 1_143
            tls = "starttls"
            user = "a"
            password = { command = "echo x", timeout = "5s" }
            ca-file = "ca.pem"
            pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            client-cert = "c.pem"
            client-key = "k.pem"
            connections = 2
            compress = true
            timeout = "1m 30s"
            disable = ["qresync", "AUTH=PLAIN"]
            "#,
        )
        .unwrap();
        let [Account::Imap(second), Account::Imap(first)] = config.accounts.as_slice() else {
            panic!("two accounts, in the file's order")
        };
        assert_eq!(second.local.root, config.path.parent().unwrap().join("mail/second"));
        assert_eq!(second.secret, SecretSource::Prompt);
        assert_eq!(first.local.layout, Layout::MaildirPlusPlus);
        assert_eq!((first.direction, first.deletions), (Direction::Pull, Deletions::Trash));
        assert!(!first.mailboxes.selects(&MailboxName::parse("Spam").unwrap()));
        assert_eq!(first.rename.local(&MailboxName::parse("[Gmail]/All Mail").unwrap()).path(), "Archive");
        assert_eq!((first.max_delete, first.keywords), (MaxDelete::Count(100), Keywords::Ignored));
        assert_eq!(first.trash.as_ref().unwrap().path(), "Bin");
        let server = &first.imap.server;
        assert_eq!((server.port, server.tls, server.timeout), (1143, TlsMode::StartTls, Duration::from_secs(90)));
        assert!(server.trust.pin.is_some() && server.trust.client.is_some());
        assert_eq!(server.trust.ca_file, Some(config.path.parent().unwrap().join("ca.pem")));
        assert_eq!((first.imap.connections, first.imap.compress), (2, true));
        assert_eq!(first.imap.disable.iter().collect::<Vec<_>>(), ["AUTH=PLAIN", "QRESYNC"]);
        let line = "echo x".to_owned();
        assert_eq!(first.secret, SecretSource::Command { line, timeout: Duration::from_secs(5) });
    }

    /// One line of an otherwise good account, the line's number it is reported at, a part of the message, of the hint.
    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let at_account =
            |line: &str| format!("[accounts.a]\nmaildir = '/m'\n{line}\n[accounts.a.imap]\nhost='h'\nuser='u'\n");
        let at_imap =
            |line: &str| format!("[accounts.a]\nmaildir = '/m'\n[accounts.a.imap]\nhost='h'\nuser='u'\n{line}\n");
        for (text, line, what, hint) in [
            ("[accounts.a\n".to_owned(), 1, "This is not TOML", ""),
            ("x = 1\n".to_owned(), 1, "Unknown key `x` at the top level", "The keys here are accounts"),
            ("\n[acounts.a]\n".to_owned(), 2, "Unknown key `acounts`", "Did you mean `accounts`?"),
            ("accounts = 3\n".to_owned(), 1, "`accounts` must be a table, not an integer", ""),
            ("[accounts.\"a/b\"]\n".to_owned(), 1, "is no name for an account", ""),
            ("[accounts.a]\n".to_owned(), 1, "`maildir` is missing in [accounts.a]", "maildir = \"~/Mail\""),
            ("[accounts.a]\nmaildir='/m'\n".to_owned(), 1, "`imap` is missing", "[accounts.a.imap]"),
            ("[accounts.a]\nmaildir='/m'\n[accounts.a.imap]\nuser='u'".to_owned(), 3, "`host` is missing", "host = "),
            (at_account("layuot = 'nested'"), 3, "Unknown key `layuot` in [accounts.a]", "Did you mean `layout`?"),
            (at_account("layout = 'nestd'"), 3, "must be \"nested\" or \"maildir++\", not \"nestd\"", "\"nested\"?"),
            (at_account("direction = true"), 3, "`accounts.a.direction` must be a string, not a boolean", ""),
            (at_account("keywords = 'yes'"), 3, "must be true or false, not a string", ""),
            (at_account("max-delete = '120%'"), 3, "must be a share", ""),
            (at_account("max-delete = -1"), 3, "must be from 0 up, not -1", ""),
            (at_account("mailboxes = '*'"), 3, "must be an array of strings, not a string", ""),
            (at_account("mailboxes = []"), 3, "selects nothing", "Leave the line out"),
            (at_account("mailboxes = [\n'*',\n'!']"), 3, "holds what is no pattern", "Lists/*"),
            (at_account("rename = { A = 'C', B = 'C' }"), 3, "meets another one", "one name"),
            (at_account("rename = { INBOX = 'C' }"), 3, "`INBOX` cannot be renamed", ""),
            (at_account("trash = 'a//b'"), 3, "names no mailbox", ""),
            (at_account("[accounts.a.pop3]"), 3, "`pop3` in [accounts.a]: this version synchronises IMAP", ""),
            (at_imap("hots = 'h'"), 6, "Unknown key `hots` in [accounts.a.imap]", "Did you mean `host`?"),
            (at_imap("port = '993'"), 6, "`accounts.a.imap.port` must be an integer, not a string", ""),
            (at_imap("port = 65536"), 6, "must be from 1 to 65535, not 65536", ""),
            (at_imap("tls = 'ssl'"), 6, "must be \"implicit\" or \"starttls\" or \"none\"", ""),
            (at_imap("password = 'hunter2'"), 6, "must not be the password itself", "command"),
            (at_imap("password = {}"), 6, "names no source", "command"),
            (at_imap("password = { file = '/f', env = 'E' }"), 6, "names several sources", ""),
            (at_imap("password = { env = 'E', timeout = '5s' }"), 6, "belongs to `command` only", ""),
            (at_imap("password = { keyring = true }"), 6, "this version cannot ask a keyring", ""),
            (at_imap("password = { comand = 'x' }"), 6, "Unknown key `comand`", "Did you mean `command`?"),
            (at_imap("pin = 'abc'"), 6, "is no pin", "SHA-256"),
            (at_imap("client-key = '/k'"), 6, "needs `client-cert` beside it", ""),
            (at_imap("connections = 0"), 6, "must be from 1 to 32, not 0", ""),
            (at_imap("timeout = 30"), 6, "must be a duration such as \"30s\", not an integer", ""),
            (at_imap("timeout = '30'"), 6, "is no duration", ""),
            (at_imap("timeout = '1ms'"), 6, "must be from 1s to 3600s", ""),
            (at_imap("disable = ['QRESINC']"), 6, "names no capability", "QRESYNC"),
            (at_imap("ca-file = '~me/ca.pem'"), 6, "starts with `~`", "~/"),
            (at_imap("host = 'x'"), 6, "This is not TOML: duplicate key", ""),
        ] {
            let error = load(&text).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{text}");
            assert!(error.place().unwrap().ends_with(&format!("config.toml:{line}")), "{text}\n{error}");
            assert!(error.what().contains(what), "{text}\n{error}");
            assert!(error.hint_text().unwrap_or_default().contains(hint), "{text}\n{error}\n{:?}", error.hint_text());
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_missing_file_is_answered_with_six_lines_and_its_place() {
        let error = Config::load(Some(Path::new("/nowhere/config.toml"))).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/config.toml: There is no configuration");
        assert!(error.hint_text().unwrap().contains(EXAMPLE));
        let error = load("# nothing yet\n").unwrap_err();
        assert!(error.what() == "No account is configured" && error.hint_text().unwrap().contains(EXAMPLE));
    }

    #[test]
    fn two_accounts_never_share_a_tree() {
        let two = |a: &str, b: &str| {
            let account =
                |name, root| format!("[accounts.{name}]\nmaildir = '{root}'\nimap = {{ host = 'h', user = 'u' }}\n");
            load(&(account("one", a) + &account("two", b)))
        };
        for (a, b, message) in [
            ("/m/x", "/m/x/", "The accounts `one` and `two` share the tree /m/x"),
            ("/m", "/m/x", "The tree of account `two`, /m/x, is inside that of `one`, /m"),
            ("/m/x/y", "/m/x", "The tree of account `one`, /m/x/y, is inside that of `two`, /m/x"),
        ] {
            assert_eq!(two(a, b).unwrap_err().what(), message);
        }
        two("/m/x", "/m/xy").unwrap();
    }

    #[test]
    fn a_urls_account_has_one_name_a_tree() {
        let at = |url, maildir: &str| {
            let options =
                UrlOptions { maildir: maildir.into(), layout: Layout::Nested, ca_file: None, password_command: None };
            Account::from_url(url, options).unwrap().name().to_owned()
        };
        let name = at("imaps://me@host:1993", "/nowhere/a");
        assert!(name.starts_with("me@host-"), "{name}");
        assert_eq!(name, at("imap://me@host", "/nowhere/a/"));
        assert_ne!(name, at("imaps://me@host", "/nowhere/b"));
    }
}
