//! `mailtide mailboxes`: what there is on either side, and what takes part.

use super::Global;
use super::look::Look;
use super::sync::{self, Wish};
use crate::engine::{self, MailboxRow};
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{self, Cell, Event};

/// List the mailboxes on both sides
///
/// Shows each mailbox's name in the tree, its name on the server, what it is for, how many messages
/// the server holds, whether the tree has it, and whether the configuration selects it. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide mailboxes work
  mailtide mailboxes --json | jq -r 'select(.selected == \"no\") | .mailbox'")]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
}

/// Prints a table an account; an account that cannot be reached does not stop the next.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let looking = args.look.begin(global)?;
    let (stop, format) = (&looking.stop, looking.format);
    let report = report::make(looking.output(global));
    let headings = ["account", "mailbox", "on-server", "use", "messages", "local", "selected"];
    sync::each(&looking.chosen.accounts, &Wish::look(), stop, |job| {
        let name = job.account.name();
        let listed = engine::mailboxes(job, stop).inspect_err(|error| report.event(name, Event::Aborted(error)))?;
        let rows: Vec<_> = listed.into_iter().filter(|m| m.selectable).map(|m| row(name, m)).collect();
        report::table(format, "mailbox", &headings, &rows);
        Ok(Exit::InSync)
    })
}

fn row(account: &str, mailbox: MailboxRow) -> Vec<Cell> {
    let yes_no = |yes| Cell::Text(if yes { "yes" } else { "no" }.to_owned());
    let server = mailbox.server.map_or(Cell::Nothing, |name| Cell::Text(name.to_string()));
    vec![
        Cell::Text(account.to_owned()),
        Cell::Text(mailbox.name.to_string()),
        server,
        mailbox.special_use.map_or(Cell::Nothing, |special| Cell::Text(special.word().to_owned())),
        mailbox.messages.map_or(Cell::Nothing, |n| Cell::Count(n.into())),
        yes_no(mailbox.local),
        yes_no(mailbox.selected),
    ]
}
