//! `mailtide pop`: the messages of a maildrop, and what a run would make of each.

use clap::ArgAction;

use super::Global;
use super::look::Look;
use super::sync::{self, Wish};
use crate::config::{Account, Pop3Account};
use crate::engine::pop::{self, MaildropRow};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::report::{self, Cell, Event};

/// List the messages of a POP3 account
///
/// Shows each message's number in this session, its size, how long ago a run first saw it, and what a run would make of
/// it: fetch it (new), leave it on the server (kept), delete it there (due for deletion), or leave it unfetched (too
/// large, for a later run; or waiting, when the guard wants a decision first). Ages count from the first run that saw the message. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide pop home --list
  mailtide pop home --list --json | jq 'select(.state == \"due for deletion\") | .uidl'
  mailtide pop pop3s://me@pop.example.org --maildir ~/Mail --list")]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,

    /// List the messages
    #[arg(long, required = true, action = ArgAction::SetTrue)]
    list: bool,
}

/// Prints a table an account; an account that cannot be reached does not stop the next.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    debug_assert!(args.list, "clap asks for it");
    let looking = args.look.begin(global)?;
    let (stop, format) = (&looking.stop, looking.format);
    let report = report::make(looking.output(global));
    let accounts: Vec<Account> = looking.chosen.accounts.iter().filter(|a| is_maildrop(a)).cloned().collect();
    if accounts.is_empty() {
        return Err(Error::new(Kind::Usage, "None of these accounts is a POP3 account")
            .hint("`mailtide mailboxes` lists what an IMAP account has."));
    }
    let headings = ["account", "number", "size", "age", "state", "uidl"];
    sync::each(&accounts, &Wish::look(), stop, |job| {
        let name = job.account.name();
        let Some(account) = maildrop(job.account) else { return Ok(Exit::InSync) };
        let listed = pop::list(&job.of(account), stop).map_err(|error| error.at(name));
        let listed = listed.inspect_err(|error| report.event(name, Event::Aborted(error)))?;
        let rows: Vec<_> = listed.into_iter().map(|message| row(name, message)).collect();
        report::table(format, "message", &headings, &rows);
        Ok(Exit::InSync)
    })
}

fn is_maildrop(account: &Account) -> bool {
    maildrop(account).is_some()
}

fn maildrop(account: &Account) -> Option<&Pop3Account> {
    match account {
        Account::Imap(_) => None,
        Account::Pop3(account) => Some(account),
    }
}

fn row(account: &str, message: MaildropRow) -> Vec<Cell> {
    vec![
        Cell::Text(account.to_owned()),
        Cell::Count(message.number.get().into()),
        Cell::Octets(message.size),
        message.age.map_or(Cell::Nothing, Cell::Seconds),
        Cell::Text(message.standing.word().to_owned()),
        message.uidl.map_or(Cell::Nothing, |uidl| Cell::Text(uidl.to_string())),
    ]
}
