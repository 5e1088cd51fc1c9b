//! `mailtide check`: looks at everything a run needs.

use super::Global;
use super::look::{Look, Looking};
use super::target;
use crate::check::{self, Grade};
use crate::error::Result;
use crate::exit::Exit;
use crate::report::{self, Finding, Mark};

/// Look at everything a run needs, and say how to fix what is wrong
///
/// One finding a line: configuration, name resolution, TCP, TLS, login, what the server can and what that buys,
/// mailboxes, the local tree, the state, the lock. It goes on after a failure where it can, and changes nothing. The
/// exit code is that of the worst finding.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailtide check work
  mailtide check --quiet              Only what needs a person
  mailtide check --json | jq 'select(.mark == \"bad\")'")]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
}

/// Prints the findings as they are made.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let Looking { chosen, stop, format } = args.look.begin(global)?;
    let mut exit = Exit::InSync;
    for account in &chosen.accounts {
        let secret = target::password(account, &stop);
        let subject = check::Subject { account, secret: &secret, config: chosen.config.as_deref(), stop: &stop };
        check::check(&subject, &mut |found| {
            exit = exit.merge(found.exit());
            // A note without a fix is nothing that anybody could act on.
            if global.quiet && (found.grade == Grade::Ok || found.grade == Grade::Warn && found.fix.is_none()) {
                return;
            }
            let finding = Finding {
                mark: mark(&found.grade),
                subject: found.subject,
                what: &found.what,
                fix: found.fix.as_deref(),
            };
            report::finding(format, account.name(), &finding);
        })?;
    }
    Ok(exit)
}

fn mark(grade: &Grade) -> Mark {
    match grade {
        Grade::Ok => Mark::Good,
        Grade::Warn => Mark::Note,
        Grade::Fail(_) => Mark::Bad,
    }
}
