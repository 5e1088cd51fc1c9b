//! Which accounts a command is about: names from the configuration (all when none is given), or one URL.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Global;
use crate::config::nearest::nearest;
use crate::config::{Account, Config, Layout, UrlOptions, duration};
use crate::error::{Error, Kind, Result};
use crate::report::Again;
use crate::secret::Secret;
use crate::stop::Stop;

/// The arguments that choose accounts and mailboxes.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Take these accounts of the configuration, or the account at a URL; without any, all accounts
    ///
    /// An account without a configuration is a URL: `imaps://USER@HOST[:PORT]` (TLS), or `imap://` with STARTTLS
    /// required; for a maildrop `pop3s://`, or `pop3://` with STLS required.
    /// USER may hold an `@`. A password in the URL is refused; it comes from $MAILTIDE_PASSWORD, else from
    /// `--password-command`, else it is asked for on the terminal.
    #[arg(value_name = "ACCOUNT|URL")]
    accounts: Vec<String>,

    /// Keep the mail in DIR; only with a URL
    #[arg(long, value_name = "DIR", help_heading = "With a URL")]
    maildir: Option<PathBuf>,

    /// Lay out the tree's directories this way; only with a URL [default: nested]
    #[arg(long, value_name = "LAYOUT", value_enum, help_heading = "With a URL")]
    layout: Option<LayoutName>,

    /// Believe the authorities in FILE (PEM) too; only with a URL
    #[arg(long, value_name = "FILE", help_heading = "With a URL")]
    ca_file: Option<PathBuf>,

    /// Take the password from the first line that COMMAND prints; only with a URL
    #[arg(long, value_name = "COMMAND", help_heading = "With a URL")]
    password_command: Option<String>,

    /// Look only at mailboxes that match GLOB; `!GLOB` leaves out, the last match decides
    ///
    /// `*` stands for any characters, `/` too, `?` for one. Names are those in the tree, as `mailtide mailboxes` shows
    /// them. What the configuration leaves out stays out.
    #[arg(short, long, value_name = "GLOB")]
    mailbox: Vec<String>,

    /// Use at most N connections at once to an IMAP server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    connections: Option<u8>,
}

/// A layout as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// DIR/INBOX, DIR/Lists/rust
    Nested,
    /// DIR itself is INBOX; DIR/.Lists.rust
    #[value(name = "maildir++")]
    MaildirPlusPlus,
}

impl LayoutName {
    fn meant(self) -> Layout {
        match self {
            LayoutName::Nested => Layout::Nested,
            LayoutName::MaildirPlusPlus => Layout::MaildirPlusPlus,
        }
    }
}

/// What the arguments come to.
pub(super) struct Chosen {
    /// The accounts, narrowed to the mailboxes asked for; each once.
    pub(super) accounts: Vec<Account>,
    /// How the command is typed again.
    pub(super) again: Again,
    /// The configuration they come from; `None` for a URL.
    pub(super) config: Option<PathBuf>,
}

impl Target {
    /// Finds the accounts.
    ///
    /// # Errors
    /// Kind `Usage` for an unknown account and arguments that do not fit together; whatever the configuration gives.
    pub(super) fn choose(&self, global: &Global) -> Result<Chosen> {
        let url = self.accounts.iter().find(|name| name.contains("://"));
        let mut chosen = match url {
            Some(url) => self.at_url(url)?,
            None => self.configured(global)?,
        };
        let is_imap = |account: &Account| matches!(account, Account::Imap(_));
        if self.connections.is_some() && !chosen.accounts.iter().any(is_imap) {
            return Err(Error::new(Kind::Usage, "`--connections` goes with an IMAP account, and none of these is one")
                .hint("A maildrop is open to one connection at a time."));
        }
        for account in &mut chosen.accounts {
            account.narrow(&self.mailbox)?;
            if let (Account::Imap(account), Some(n)) = (account, self.connections) {
                account.imap.connections = n.into();
            }
        }
        Ok(chosen)
    }

    fn at_url(&self, url: &str) -> Result<Chosen> {
        // Before anything that may show the URL: it could hold a password.
        let [_] = self.accounts.as_slice() else {
            return Err(Error::new(Kind::Usage, "A URL stands alone: no other account beside it"));
        };
        let options = |maildir: PathBuf| UrlOptions {
            maildir,
            layout: self.layout.map_or(Layout::Nested, LayoutName::meant),
            ca_file: self.ca_file.clone(),
            password_command: self.password_command.clone(),
        };
        let account = Account::from_url(url, options(self.maildir.clone().unwrap_or_default()))?;
        if self.maildir.is_none() {
            return Err(Error::new(Kind::Usage, "An account at a URL needs a tree for its mail")
                .hint(format!("Add `--maildir DIR`: `mailtide sync {url} --maildir ~/Mail`.")));
        }
        Ok(Chosen { accounts: vec![account], again: Again::Url { words: self.typed(url) }, config: None })
    }

    /// The URL and the options that go with it, as they have to be typed again.
    fn typed(&self, url: &str) -> Vec<String> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let layout = self.layout.and_then(|layout| layout.to_possible_value());
        let options = [
            ("--maildir", self.maildir.as_ref().map(path)),
            ("--layout", layout.map(|value| value.get_name().to_owned())),
            ("--ca-file", self.ca_file.as_ref().map(path)),
            ("--password-command", self.password_command.clone()),
        ];
        let given = options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?]));
        std::iter::once(url.to_owned()).chain(given.flatten()).collect()
    }

    fn configured(&self, global: &Global) -> Result<Chosen> {
        let lonely = [
            ("--maildir", self.maildir.is_some()),
            ("--layout", self.layout.is_some()),
            ("--ca-file", self.ca_file.is_some()),
            ("--password-command", self.password_command.is_some()),
        ];
        if let Some((option, _)) = lonely.iter().find(|(_, given)| *given) {
            return Err(Error::new(Kind::Usage, format!("`{option}` goes with a URL"))
                .hint("Accounts of the configuration have this setting there."));
        }
        let named = global.config();
        let config = Config::load(named.as_deref())?;
        let again = Again::Account { config: named };
        let path = Some(config.path.clone());
        if self.accounts.is_empty() {
            return Ok(Chosen { accounts: config.accounts, again, config: path });
        }
        let unknown = self.accounts.iter().find(|name| !config.accounts.iter().any(|a| a.name() == *name));
        if let Some(name) = unknown {
            return Err(unknown_account(name, &config));
        }
        let accounts =
            config.accounts.into_iter().filter(|a| self.accounts.iter().any(|name| a.name() == name)).collect();
        Ok(Chosen { accounts, again, config: path })
    }
}

fn unknown_account(name: &str, config: &Config) -> Error {
    let names: Vec<&str> = config.accounts.iter().map(Account::name).collect();
    let shown = crate::error::safe_line(name);
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if duration::parse(name).is_ok() => format!("A duration stands behind a `=`: `--wait-lock={shown}`."),
        None if name.contains('@') => format!("Without a configuration: `imaps://{shown} --maildir DIR`."),
        None => format!("The accounts are {}.", names.join(", ")),
    };
    Error::new(Kind::Usage, format!("There is no account `{shown}`")).at(config.path.display()).hint(hint)
}

/// Reads the password of an account; whoever calls it keeps what it gives, so that nobody is asked twice.
pub(super) fn password<'a>(account: &'a Account, stop: &'a Stop) -> impl Fn() -> Result<Secret> + Sync + 'a {
    move || {
        let user = crate::error::safe_line(account.user());
        account.secret().read(&format!("{user} at {}", account.server().bare_host()), stop)
    }
}
