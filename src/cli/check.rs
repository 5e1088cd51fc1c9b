//! `mailtide check`: looks at everything a run needs.

use super::Global;
use super::target::{self, Target};
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
    target: Target,

    /// Print NDJSON, one object a line, for programs
    #[arg(long)]
    json: bool,
}

/// Prints the findings as they are made.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit> {
    let chosen = args.target.choose(global)?;
    let stop = super::signal::stop(None)?;
    let format = super::format(args.json);
    let mut exit = Exit::InSync;
    for account in &chosen.accounts {
        let secret = target::password(account, &stop);
        let subject = check::Subject { account, secret: &secret, config: chosen.config.as_deref(), stop: &stop };
        check::check(&subject, &mut |found| {
            exit = exit.merge(found.exit());
            if global.quiet && found.grade == Grade::Ok {
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
