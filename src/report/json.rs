//! NDJSON, version 1: what `--json` prints, and its schema.
//!
//! One object a line on standard output, UTF-8, in the order in which things happen. Every object has `v` (1), `account`
//! and `event`; trouble of the program itself (no configuration) goes to standard error as text. New events and new keys
//! may come without a new version: skip what you do not know. A key that is absent or `null` means "does not apply" or
//! "not known". The last line of an account's run is its `summary`.
//!
//! | event | keys | when |
//! | --- | --- | --- |
//! | `connected` | `host`, `tier` | a connection stands; `tier` names what the observation rests on |
//! | `observed` | `mailboxes`, `changed` | both sides were looked at |
//! | `action` | `mailbox`, `action`, `target`, `messages`, the action's own keys; `done`, `done-octets`; `refused` | done, or planned (dry run: without `done…`, and `refused` is true where the guard refuses it) |
//! | `mailbox-done` | `mailbox`, `counts` | a mailbox is finished |
//! | `failure` | `mailbox`, one of `uid`, `file`, `uidl`, `number` or none, `what`, `hint` | a message or mailbox failed; the rest goes on, later runs try again |
//! | `refusal` | `mailbox` (`null`: the account), `side`, `deletions`, `of`, `rest`, `allow` | the guard refused deletions; `rest`: all else is `done`, or `waits`; `allow` is the command that allows them |
//! | `notice` | `text` | something to know that is no failure |
//! | `error` | `kind`, `what`, `server`, `hint`, `exit` | the account's run could not end well |
//! | `summary` | `outcome`, `dry-run`, `refused`, `counts`, `mailboxes`, `messages`, `sent`, `received`, `commands`, `milliseconds` | the account's last line |
//! | `finding` | `mark` (`good`, `note`, `bad`), `subject`, `what`, `fix` | a line of `check` |
//! | `mailbox` | `mailbox`, `on-server`, `use`, `messages`, `local`, `selected` | a row of `mailboxes` |
//! | `message` | `number`, `size`, `age` (seconds), `state`, `uidl` | a row of `pop --list` |
//! | `last-run` | `last-run`, `exit` | `status`: how the last run ended |
//! | `unresolved` | `mailbox`, `item`, `since`, `what`, `hint` | `status`: what earlier runs could not do |
//!
//! * `action`: `rename-mailbox`, `create-mailbox`, `reset-mailbox`, `link`, `rename`, `agree`, `move`, `copy`, `download`,
//!   `upload`, `set-flags`, `delete`, `moved-out`, `keep`, `forget`, `remove-mailbox`, `forget-mailbox`. Their own keys: `side`
//!   (`local` or `remote`), `uid`, `uids` (`1:3,7`), `file` (the name up to `:2,`), `flags` (a list), `change` (`add` and
//!   `remove`, lists), `octets`, `disposal` (`expunge`, `trash`, `mark`), `from` and `to` (a
//!   mailbox), `left-out` (`always`, `this-time`). A move or copy has `from` and
//!   `uid`, where it comes from, `file` or `new-uid`, what it is here already, and the changes of flags that come with it,
//!   `local` and `remote`; its `octets` are not transferred.
//!   From a maildrop: `download`, `compare` (fetched to be compared with known mail), `recognise` (known by its header),
//!   `leave` (`why`: `too-large`, `later`) and `delete`, with `numbers` (of that session, `1:3,7`) and `octets`.
//! * `target`: the side whose mail the action changes; `null` when it only changes what is recorded.
//! * `counts`: `local` and `remote`, each with `new`, `moved`, `flags`, `deleted`, `mailboxes-created`,
//!   `mailboxes-renamed`, `mailboxes-removed`, `octets`; `linked`, `failed`. In a dry run they are what would be done.
//! * `outcome`: `in-sync`, `planned` (a dry run found something to do), `some-failed`, `refused`, `aborted`.
//! * `kind`: `usage`, `config`, `local-tree`, `state`, `auth`, `unreachable`, `tls`, `try-later`, `protocol`, `refused`,
//!   `guard`, `locked`, `interrupted`; `exit` is the exit code that belongs to it.
//! * `sent`, `received`: octets on the wire, compressed where they were.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Value, json};

use super::console::Console;
use super::count::{Outcome, Tallies, Tally, refuses};
use super::event::{Event, Report, Summary};
use super::{Output, Run, words};
use crate::error::{Error, Item, ItemFailure, Kind, is_hidden};
use crate::exit::Exit;
use crate::mail::MailboxName;
use crate::maildrop;
use crate::reconcile::guard::Refusal;
use crate::reconcile::{Action, Side};

/// Renders events as NDJSON.
pub struct Json<O, E> {
    console: Console<O, E>,
    output: Output,
    tallies: Tallies,
}

impl<O: Write + Send, E: Write + Send> Json<O, E> {
    /// A renderer on `console`.
    pub(super) fn new(console: Console<O, E>, output: Output) -> Self {
        Json { console, output, tallies: Tallies::default() }
    }

    fn put(&self, account: &str, event: &str, fields: Value) {
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        self.console.data(&object(Some(account), event, fields));
    }

    fn refusal(&self, account: &str, refusal: &Refusal) {
        let mut fields = as_value(refusal);
        with(&mut fields, "allow", words::allow(account, refusal, &self.output.again));
        self.put(account, "refusal", fields);
    }

    fn summary(&self, account: &str, outcome: Outcome, tally: Tally, summary: Summary) {
        let mut fields = as_value(Summary { counts: tally.counts, ..summary });
        with(&mut fields, "outcome", as_value(outcome));
        with(&mut fields, "dry-run", self.output.run == Run::Dry);
        with(&mut fields, "refused", tally.refused);
        self.put(account, "summary", fields);
    }
}

impl<O: Write + Send, E: Write + Send> Report for Json<O, E> {
    fn event(&self, account: &str, event: Event<'_>) {
        let tally = self.tallies.take(account, self.output.run, &event);
        match event {
            Event::Connected { host, tier } => self.put(account, "connected", json!({ "host": host, "tier": tier })),
            Event::Observed { mailboxes, changed } => {
                self.put(account, "observed", json!({ "mailboxes": mailboxes, "changed": changed }));
            }
            Event::Planned { plan, refusals } if self.output.run == Run::Dry => {
                for (mailbox, a) in plan.actions() {
                    let mut fields = action(mailbox, a);
                    if refuses(refusals, mailbox, a) {
                        with(&mut fields, "refused", true);
                    }
                    self.put(account, "action", fields);
                }
                refusals.iter().for_each(|r| self.refusal(account, r));
            }
            Event::MaildropPlanned { mailbox, plan, refusals } if self.output.run == Run::Dry => {
                plan.actions().iter().for_each(|a| self.put(account, "action", maildrop_action(mailbox, a)));
                refusals.iter().for_each(|r| self.refusal(account, r));
            }
            Event::Planned { .. } | Event::MaildropPlanned { .. } | Event::Progress(_) => {}
            Event::MaildropDone { mailbox, action, done, octets } => {
                let mut fields = maildrop_action(mailbox, action);
                with(&mut fields, "done", done);
                with(&mut fields, "done-octets", octets);
                self.put(account, "action", fields);
            }
            Event::Done { mailbox, action: a, done, octets } => {
                let mut fields = action(mailbox, a);
                with(&mut fields, "done", done);
                with(&mut fields, "done-octets", octets);
                self.put(account, "action", fields);
            }
            Event::MailboxDone { mailbox, counts } => {
                self.put(account, "mailbox-done", json!({ "mailbox": mailbox, "counts": counts }));
            }
            Event::Failed(failure) => self.put(account, "failure", failure_fields(failure)),
            Event::Refused(refusal) => self.refusal(account, refusal),
            Event::Notice(text) => self.put(account, "notice", json!({ "text": text })),
            Event::Finished(summary) => self.summary(account, tally.outcome(), tally, summary),
            Event::Aborted(error) => {
                self.put(account, "error", error_fields(error));
                self.summary(account, Outcome::Aborted, tally, Summary::default());
            }
        }
    }
}

/// One line of version 1: `v`, `account`, `event`, then `fields` by name.
pub(super) fn object(account: Option<&str>, event: &str, fields: Map<String, Value>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<&'a str>,
        event: &'a str,
        #[serde(flatten)]
        fields: Map<String, Value>,
    }
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Safe(CompactFormatter));
    // Strings, numbers, lists and maps with string keys, written to memory: there is nothing that could fail.
    let _ = Line { v: 1, account, event, fields }.serialize(&mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

fn as_value(data: impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
}

fn with(fields: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = fields {
        map.insert(key.to_owned(), value.into());
    }
}

fn action(mailbox: &MailboxName, action: &Action) -> Value {
    let mut fields = as_value(action);
    with(&mut fields, "mailbox", as_value(mailbox));
    with(&mut fields, "target", as_value(action.changes()));
    with(&mut fields, "messages", action.messages());
    fields
}

fn maildrop_action(mailbox: &MailboxName, action: &maildrop::Action) -> Value {
    let target = match action {
        maildrop::Action::Download { .. } => Some(Side::Local),
        maildrop::Action::Delete { .. } => Some(Side::Remote),
        maildrop::Action::Recognise { .. } | maildrop::Action::Compare { .. } | maildrop::Action::Leave { .. } => None,
    };
    let mut fields = as_value(action);
    with(&mut fields, "mailbox", as_value(mailbox));
    with(&mut fields, "target", as_value(target));
    with(&mut fields, "messages", action.numbers().len());
    fields
}

fn failure_fields(failure: &ItemFailure) -> Value {
    let mut fields = json!({ "mailbox": failure.mailbox, "what": failure.what, "hint": failure.hint });
    match &failure.item {
        Item::Mailbox => {}
        Item::Message(uid) => with(&mut fields, "uid", as_value(uid)),
        Item::File(file) => with(&mut fields, "file", as_value(file)),
        Item::Uidl(uidl) => with(&mut fields, "uidl", uidl.to_string()),
        Item::Number(number) => with(&mut fields, "number", number.get()),
    }
    fields
}

fn error_fields(error: &Error) -> Value {
    json!({
        "kind": kind(error.kind()),
        "what": error.to_string(),
        "server": error.server_words(),
        "hint": error.hint_text(),
        "exit": Exit::from(error.kind()).code(),
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Config => "config",
        Kind::LocalTree => "local-tree",
        Kind::State | Kind::Damaged => "state",
        Kind::Auth => "auth",
        Kind::Unreachable => "unreachable",
        Kind::Tls => "tls",
        Kind::TryLater => "try-later",
        Kind::Protocol => "protocol",
        Kind::Refused => "refused",
        Kind::Guard => "guard",
        Kind::Locked => "locked",
        Kind::Interrupted => "interrupted",
    }
}

/// Writes strings so that a terminal shows the line as it is: what [`is_hidden`] names is escaped, nothing is lost.
struct Safe(CompactFormatter);

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (before, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = from.get(hidden.len_utf8()..).unwrap_or_default();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::report::samples::{self, Hostile};
    use crate::report::{Format, Verbosity};

    fn render(run: Run, verbosity: Verbosity) -> (String, String) {
        let output = Output { format: Format::Json, verbosity, run, ..Output::default() };
        samples::rendered(|console| Json::new(console, output), run, "work", &Hostile::no())
    }

    #[test]
    fn a_real_run_is_told_action_by_action() {
        let (out, err) = render(Run::Real, Verbosity::Normal);
        assert_eq!(err, "");
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"connected","host":"imap.example.org:993","tier":"QRESYNC"}
{"v":1,"account":"work","event":"observed","changed":3,"mailboxes":20}
{"v":1,"account":"work","event":"refusal","allow":"mailtide sync work --allow-deletions INBOX","deletions":20,"mailbox":"INBOX","of":30,"rest":"done","side":"remote"}
{"v":1,"account":"work","event":"action","action":"link","done":1,"done-octets":0,"file":"1700000004.d","flags":["\\Seen","Work"],"mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"rename","done":1,"done-octets":0,"file":"1700000005.e","mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"agree","done":1,"done-octets":0,"flags":[],"mailbox":"INBOX","messages":1,"target":null,"uids":"21"}
{"v":1,"account":"work","event":"action","action":"move","done":1,"done-octets":0,"file":"1700000006.f","flags":["\\Seen"],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"octets":4000,"remote":{"add":["\\Flagged"],"remove":[]},"target":"remote","uid":22}
{"v":1,"account":"work","event":"action","action":"copy","done":1,"done-octets":0,"flags":[],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"new-uid":14,"octets":5000,"remote":{"add":[],"remove":[]},"target":"local","uid":23}
{"v":1,"account":"work","event":"action","action":"download","done":2,"done-octets":12345,"mailbox":"INBOX","messages":3,"octets":12345,"target":"local","uids":"11:13"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000001.a","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000002.b","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","done":1,"done-octets":2000,"file":"1700000003.c","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"set-flags","change":{"add":["\\Seen","Work"],"remove":["\\Flagged"]},"done":7,"done-octets":0,"mailbox":"INBOX","messages":7,"side":"remote","target":"remote","uids":"1,3,5,7,9,11,13"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"mark","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"side":"local","target":"local","uids":"2"}
{"v":1,"account":"work","event":"action","action":"keep","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"side":"remote","target":null,"uids":"50"}
{"v":1,"account":"work","event":"action","action":"moved-out","done":1,"done-octets":0,"left-out":"always","mailbox":"INBOX","messages":1,"target":null,"to":"Spam","uids":"52"}
{"v":1,"account":"work","event":"action","action":"forget","done":1,"done-octets":0,"mailbox":"INBOX","messages":1,"target":null,"uids":"51"}
{"v":1,"account":"work","event":"action","action":"create-mailbox","done":1,"done-octets":0,"mailbox":"Neu-Über","messages":0,"side":"remote","target":"remote"}
{"v":1,"account":"work","event":"action","action":"rename-mailbox","done":1,"done-octets":0,"from":"Former","mailbox":"New","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"reset-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"trash","done":1,"done-octets":0,"mailbox":"Old","messages":1,"side":"remote","target":"remote","uids":"1"}
{"v":1,"account":"work","event":"action","action":"remove-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"forget-mailbox","done":1,"done-octets":0,"mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"INBOX"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"Neu-Über"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"New"}
{"v":1,"account":"work","event":"mailbox-done","counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"mailbox":"Old"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","uid":12,"what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","file":"x","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"notice","text":"The server says: be nice"}
{"v":1,"account":"work","event":"summary","commands":12,"counts":{"failed":3,"linked":1,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":2,"octets":12345},"remote":{"deleted":0,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":3,"octets":6000}},"dry-run":false,"mailboxes":20,"messages":19500,"milliseconds":349,"outcome":"refused","received":18999,"refused":1,"sent":744}
{"v":1,"account":"home","event":"error","exit":5,"hint":"Look at it with another client.","kind":"refused","server":"NO gone","what":"imap: The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"home","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":false,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn a_dry_run_has_the_same_shape_without_done() {
        let (out, _) = render(Run::Dry, Verbosity::Quiet);
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"connected","host":"imap.example.org:993","tier":"QRESYNC"}
{"v":1,"account":"work","event":"observed","changed":3,"mailboxes":20}
{"v":1,"account":"work","event":"action","action":"link","file":"1700000004.d","flags":["\\Seen","Work"],"mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"rename","file":"1700000005.e","mailbox":"INBOX","messages":1,"target":null,"uid":20}
{"v":1,"account":"work","event":"action","action":"agree","flags":[],"mailbox":"INBOX","messages":1,"target":null,"uids":"21"}
{"v":1,"account":"work","event":"action","action":"move","file":"1700000006.f","flags":["\\Seen"],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"octets":4000,"remote":{"add":["\\Flagged"],"remove":[]},"target":"remote","uid":22}
{"v":1,"account":"work","event":"action","action":"copy","flags":[],"from":"Old","local":{"add":[],"remove":[]},"mailbox":"INBOX","messages":1,"new-uid":14,"octets":5000,"remote":{"add":[],"remove":[]},"target":"local","uid":23}
{"v":1,"account":"work","event":"action","action":"download","mailbox":"INBOX","messages":3,"octets":12345,"target":"local","uids":"11:13"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000001.a","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000002.b","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"upload","file":"1700000003.c","flags":["\\Seen"],"mailbox":"INBOX","messages":1,"octets":2000,"target":"remote"}
{"v":1,"account":"work","event":"action","action":"set-flags","change":{"add":["\\Seen","Work"],"remove":["\\Flagged"]},"mailbox":"INBOX","messages":7,"side":"remote","target":"remote","uids":"1,3,5,7,9,11,13"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"mark","mailbox":"INBOX","messages":1,"side":"local","target":"local","uids":"2"}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"expunge","mailbox":"INBOX","messages":20,"refused":true,"side":"remote","target":"remote","uids":"30:49"}
{"v":1,"account":"work","event":"action","action":"keep","mailbox":"INBOX","messages":1,"side":"remote","target":null,"uids":"50"}
{"v":1,"account":"work","event":"action","action":"moved-out","left-out":"always","mailbox":"INBOX","messages":1,"target":null,"to":"Spam","uids":"52"}
{"v":1,"account":"work","event":"action","action":"forget","mailbox":"INBOX","messages":1,"target":null,"uids":"51"}
{"v":1,"account":"work","event":"action","action":"create-mailbox","mailbox":"Neu-Über","messages":0,"side":"remote","target":"remote"}
{"v":1,"account":"work","event":"action","action":"rename-mailbox","from":"Former","mailbox":"New","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"reset-mailbox","mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"action","action":"delete","disposal":"trash","mailbox":"Old","messages":1,"side":"remote","target":"remote","uids":"1"}
{"v":1,"account":"work","event":"action","action":"remove-mailbox","mailbox":"Old","messages":0,"side":"local","target":"local"}
{"v":1,"account":"work","event":"action","action":"forget-mailbox","mailbox":"Old","messages":0,"target":null}
{"v":1,"account":"work","event":"refusal","allow":"mailtide sync work --allow-deletions INBOX","deletions":20,"mailbox":"INBOX","of":30,"rest":"done","side":"remote"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","uid":12,"what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","file":"x","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"failure","hint":"Look at it with another client.","mailbox":"Old","what":"The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"work","event":"notice","text":"The server says: be nice"}
{"v":1,"account":"work","event":"summary","commands":12,"counts":{"failed":3,"linked":1,"local":{"deleted":1,"flags":0,"mailboxes-created":0,"mailboxes-removed":1,"mailboxes-renamed":1,"moved":1,"new":3,"octets":12345},"remote":{"deleted":1,"flags":7,"mailboxes-created":1,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":1,"new":3,"octets":6000}},"dry-run":true,"mailboxes":20,"messages":19500,"milliseconds":349,"outcome":"refused","received":18999,"refused":1,"sent":744}
{"v":1,"account":"home","event":"error","exit":5,"hint":"Look at it with another client.","kind":"refused","server":"NO gone","what":"imap: The server did not give the message; the server said `NO gone`"}
{"v":1,"account":"home","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":true,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn planned_and_done_actions_differ_by_done_only() {
        let actions = |run| -> Vec<Value> {
            let (out, _) = render(run, Verbosity::Normal);
            let lines = out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
            lines
                .filter(|l| l["event"] == "action" && l["refused"] != true)
                .map(|mut l| {
                    let done = l.as_object_mut().unwrap();
                    assert_eq!(done.remove("done").is_some(), run == Run::Real);
                    assert_eq!(done.remove("done-octets").is_some(), run == Run::Real);
                    l
                })
                .collect()
        };
        assert_eq!(actions(Run::Dry), actions(Run::Real));
        assert!(!actions(Run::Dry).is_empty());
    }

    /// Adds the names of `value`'s keys, and of the keys in them.
    fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| {
                keys.insert(key.clone());
                collect_keys(inner, keys);
            }),
            Value::Array(all) => all.iter().for_each(|inner| collect_keys(inner, keys)),
            _ => {}
        }
    }

    #[test]
    fn the_manual_has_the_schema() {
        let page = include_str!("../../man/sections.roff").replace("\\-", "-");
        let schema = page.split(".SH NDJSON").nth(1).unwrap().split(".SH").next().unwrap();
        let parts: BTreeSet<_> = schema.split(|c: char| !c.is_ascii_lowercase() && c != '-').collect();
        let (mut keys, mut actions) = (BTreeSet::new(), BTreeSet::new());
        for run in [Run::Real, Run::Dry] {
            for line in render(run, Verbosity::Normal).0.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let event = line["event"].as_str().unwrap();
                assert!(schema.contains(&format!(".BR {event} \":")), "{event}");
                collect_keys(&line, &mut keys);
                let words = ["action", "side", "target", "disposal", "rest", "kind", "outcome"];
                for word in words.iter().filter_map(|key| line[*key].as_str()) {
                    assert!(parts.contains(word), "{word}");
                }
                actions.extend(line["action"].as_str().map(str::to_owned));
            }
        }
        let missing: Vec<_> = keys.iter().filter(|key| !parts.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "mailtide(1) does not name {missing:?}");
        let named = schema.split("Actions are ").nth(1).unwrap().split(';').next().unwrap();
        let named: BTreeSet<String> = named.split(", ").flat_map(|n| n.split(",\n")).map(str::to_owned).collect();
        assert_eq!(named, actions);
    }

    #[test]
    fn what_the_manual_selects_is_there() {
        let page = include_str!("../../man/sections.roff");
        let filter = page.lines().find(|line| line.trim_start().starts_with("jq ")).unwrap();
        let key = filter.split(" and .").nth(1).unwrap().split(' ').next().unwrap();
        let (out, _) = render(Run::Dry, Verbosity::Normal);
        let mut lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(lines.any(|line| line["action"] == "delete" && line[key] == "remote"), "{filter}");
    }

    #[test]
    fn an_aborted_run_ends_with_a_summary_too() {
        let output = Output { format: Format::Json, ..Output::default() };
        let error = Error::new(Kind::Auth, "The server refused the login").server_said("no\u{7}").hint("Try again.");
        let (out, err) = samples::drawn(
            |console| Json::new(console, output),
            |report| {
                report.event("work", Event::Aborted(&error));
            },
        );
        assert_eq!(err, "");
        samples::assert_same(
            out,
            snapbox::str![[r#"
{"v":1,"account":"work","event":"error","exit":4,"hint":"Try again.","kind":"auth","server":"no\u0007","what":"The server refused the login; the server said `no\\u{7}`"}
{"v":1,"account":"work","event":"summary","commands":0,"counts":{"failed":0,"linked":0,"local":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0},"remote":{"deleted":0,"flags":0,"mailboxes-created":0,"mailboxes-removed":0,"mailboxes-renamed":0,"moved":0,"new":0,"octets":0}},"dry-run":false,"mailboxes":0,"messages":0,"milliseconds":0,"outcome":"aborted","received":0,"refused":0,"sent":0}

"#]],
        );
    }

    #[test]
    fn hidden_characters_are_escaped_and_come_back() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{feff}\u{2028}\"\\é会\u{1f4e7}\n";
        let mut fields = Map::new();
        fields.insert("text".into(), text.into());
        let line = object(None, "notice", fields);
        assert!(!line.contains(is_hidden), "{line}");
        assert!(line.contains("é会\u{1f4e7}"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["text"], text);
    }
}
