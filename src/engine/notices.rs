//! What a run has to say beside what it does: nothing of it is a failure.

use super::observe::Observation;
use crate::config::ImapAccount;
use crate::mail::{BaseMailbox, MailboxName};
use crate::reconcile::guard::Allowed;
use crate::reconcile::view::{Deletions, TreeAge};
use crate::reconcile::{Action, Disposal, Plan, Side};

/// What is to be known of a run that looks at nothing.
pub(super) const NONE_SELECTED: &str = "No mailbox is selected; `mailtide mailboxes` shows which there are";

const OLDER: &str = "The tree, or the state, is an older copy";

const REPLACED: &str = "the directory is another than the one that the last run left";

const STILL_OLDER: &str = "an older copy was put back, and no run was done with it since";

const COMES_BACK: &str = "what is missing in the tree comes back, and nothing is deleted on the server because of it";

const AGAIN: &str = "it was left out for a while: what one side lacks comes from the other, and nothing is deleted";

/// Where `host` or `user` is another than in the last run.
pub(super) const ANOTHER_SERVER: &str = "The account is at another server, or another user's there, than in the last run: \
                                         what each side has comes to the other, and nothing is deleted";

const NO_TRASH: &str = "The account has no Trash: what was deleted in the tree is marked as deleted on the server, and stays \
                        there. Name a mailbox with `trash`.";

/// Of a dry run whose plan is the first of several.
pub(super) const GOES_ON: &str = "These are the first steps: a run then looks again, and goes on from what they make";

/// Of what was seen.
pub(super) fn of_observation(seen: &Observation<'_>) -> Vec<String> {
    let older = (seen.local.age == TreeAge::Older).then(|| format!("{OLDER}: {COMES_BACK}"));
    let none = (seen.mailboxes.0 == 0).then(|| NONE_SELECTED.to_owned());
    let merged = (seen.merged > 0).then(|| are_one(seen.merged, seen.local.age));
    let known = |is_it: fn(&BaseMailbox) -> bool| {
        seen.base.iter().filter(move |(_, mailbox)| is_it(mailbox)).map(|(name, _)| name)
    };
    let mut notices: Vec<String> = [older, none, merged].into_iter().flatten().collect();
    notices.extend(of_each(known(BaseMailbox::was_left_out), AGAIN));
    if seen.local.age == TreeAge::AsLeft {
        notices.extend(of_each(seen.local.replaced.iter(), &format!("{REPLACED}: {COMES_BACK}")));
        notices.extend(of_each(known(BaseMailbox::is_older), &format!("{STILL_OLDER}: {COMES_BACK}")));
    }
    notices
}

/// Of `--allow-deletions`, where it allows none.
pub(super) fn of_allowed(allowed: &Allowed, seen: &Observation<'_>) -> Vec<String> {
    let (base, local, remote) = (&seen.base, &seen.local.mailboxes, &seen.remote.mailboxes);
    let is_known =
        |name: &MailboxName| base.contains_key(name) || local.contains_key(name) || remote.contains_key(name);
    allowed.unknown(is_known).map(no_such).collect()
}

/// Of what is to be done, and what not yet.
pub(super) fn of_plan(account: &ImapAccount, plan: &Plan, seen: &Observation<'_>) -> Vec<String> {
    let mut notices: Vec<String> = plan.waiting.iter().map(waits_for_a_file).collect();
    notices.extend((plan.held > 0).then(|| stay(plan.held)));
    let has_no_trash = account.deletions == Deletions::Trash && seen.remote.trash.is_none();
    notices.extend((has_no_trash && plan.actions().any(|(_, action)| marks(action))).then(|| NO_TRASH.to_owned()));
    notices
}

/// What is to be known of an `--allow-deletions` that allows none.
pub(super) fn no_such(name: &MailboxName) -> String {
    format!(
        "`--allow-deletions`: no mailbox that is selected is called `{name}`; `mailtide mailboxes` shows which there are"
    )
}

/// Of a run that waits for what a broken one sent.
pub(super) fn waits_for(files: usize) -> String {
    let messages = if files == 1 { "a message" } else { "messages" };
    format!("A run broke off while it sent {messages}; waiting until the server has stored what it received")
}

fn marks(action: &Action) -> bool {
    matches!(action, Action::Delete { side: Side::Remote, disposal: Disposal::Mark, .. })
}

/// Tells the same of several mailboxes: by their names, or of many how many they are.
fn of_each<'n>(names: impl Iterator<Item = &'n MailboxName>, what: &str) -> Vec<String> {
    const MOST: usize = 3;
    let names: Vec<&MailboxName> = names.collect();
    match names.len() {
        0..=MOST => names.iter().map(|name| format!("{name}: {what}")).collect(),
        many => vec![format!("{many} mailboxes: {what}")],
    }
}

fn are_one(messages: usize, age: TreeAge) -> String {
    // In an older copy nobody set any.
    let flags = match age {
        TreeAge::AsLeft => "all of these",
        TreeAge::Older => "those of the server",
    };
    let (were, are) = match messages {
        1 => ("A message was".to_owned(), "it is one"),
        _ => (format!("{messages} messages were"), "each is one"),
    };
    format!("{were} there twice, with files that differ in the flags of their names alone: {are}, with {flags}")
}

fn stay(messages: u64) -> String {
    match messages {
        1 => "A message that is missing in the tree stays on the server, since it may be where nothing can be read"
            .into(),
        _ => format!(
            "{messages} messages that are missing in the tree stay on the server, since they may be where nothing can be read"
        ),
    }
}

fn waits_for_a_file(name: &MailboxName) -> String {
    format!(
        "{name}: the server gave all its messages new UIDs; nothing is done in it until each of its files can be read"
    )
}
