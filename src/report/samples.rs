//! A run that has everything, for the renderers' tests; and the same with names and words that attack a terminal.

use std::collections::BTreeSet;

use super::Run;
use super::console::{Console, Terminal};
use super::count::refuses;
use super::event::{Counts, Event, Progress, Report, SideCounts, Summary};
use super::progress::Bars;
use crate::error::{Error, Item, ItemFailure, Kind};
use crate::mail::{FileId, FlagChange, Flags, MailboxName, Uid, UidSet};
use crate::reconcile::guard::{Refusal, Rest};
use crate::reconcile::view::LeftOut;
use crate::reconcile::{Action, Disposal, Here, Plan, Relocation, Side};

/// A console in memory.
pub type Memory = Console<Vec<u8>, Vec<u8>>;

/// Text that a stranger chose and that is put into every name and message.
pub struct Hostile(pub String);

impl Hostile {
    /// Nothing.
    pub fn no() -> Hostile {
        Hostile(String::new())
    }
}

/// Both streams as text.
pub fn text(console: Memory) -> (String, String) {
    let (out, err) = console.into_streams();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Demands exactly the text of a snapshot; `SNAPSHOTS=overwrite cargo test` writes it anew.
#[track_caller]
pub fn assert_same(actual: String, expected: snapbox::data::Inline) {
    use snapbox::IntoData;
    snapbox::assert_data_eq!(actual.raw(), expected.raw());
}

/// What a renderer writes when `tell` tells it something and nobody watches.
pub fn drawn<R: Report>(make: impl FnOnce(Shared) -> R, tell: impl FnOnce(&R)) -> (String, String) {
    let (out, err) = (Shelf::default(), Shelf::default());
    let report = make(Console::new(out.clone(), err.clone(), Terminal::default(), Bars::hidden()));
    tell(&report);
    (out.text(), err.text())
}

/// What a renderer writes of the whole sample run.
pub fn rendered<R: Report>(make: impl FnOnce(Shared) -> R, run: Run, account: &str, odd: &Hostile) -> (String, String) {
    drawn(make, |report| tell(report, run, account, odd))
}

/// A console whose streams can be read while it is in use.
pub type Shared = Console<Shelf, Shelf>;

/// A stream that is kept in memory.
#[derive(Clone, Default)]
pub struct Shelf(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Shelf {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::none();
    names.iter().for_each(|n| flags.insert_imap(n));
    flags
}

/// A download of three messages.
pub fn download() -> Action {
    Action::Download { uids: uids("11:13"), octets: 12_345 }
}

/// A plan with every action there is.
pub fn plan(odd: &Hostile) -> Plan {
    let file = |name: &str| FileId::new(format!("{name}{}", odd.0));
    let upload = |name: &str| Action::Upload { file: file(name), flags: flags(&["\\Seen"]), octets: 2000 };
    let uid = Uid::new(20).unwrap();
    let name = |text: &str| MailboxName::from_segments([&format!("{text}{}", odd.0)]).unwrap();
    let inbox = vec![
        Action::Link { uid, file: file("1700000004.d"), flags: flags(&["\\Seen", "Work"]) },
        Action::Rename { uid, file: file("1700000005.e") },
        Action::Agree { uids: uids("21"), flags: Flags::none() },
        Action::Move(Relocation {
            from: name("Old"),
            uid: Uid::new(22).unwrap(),
            here: Here::File(file("1700000006.f")),
            flags: flags(&["\\Seen"]),
            local: FlagChange::default(),
            remote: FlagChange { add: flags(&["\\Flagged"]), remove: Flags::none() },
            octets: 4000,
        }),
        Action::Copy(Relocation {
            from: name("Old"),
            uid: Uid::new(23).unwrap(),
            here: Here::Message(Uid::new(14).unwrap()),
            flags: Flags::none(),
            local: FlagChange::default(),
            remote: FlagChange::default(),
            octets: 5000,
        }),
        download(),
        upload("1700000001.a"),
        upload("1700000002.b"),
        upload("1700000003.c"),
        Action::SetFlags {
            side: Side::Remote,
            uids: uids("1,3,5,7,9,11,13"),
            change: FlagChange { add: flags(&["\\Seen", "Work"]), remove: flags(&["\\Flagged"]) },
        },
        Action::Delete { side: Side::Local, uids: uids("2"), disposal: Disposal::Mark },
        Action::Delete { side: Side::Remote, uids: uids("30:49"), disposal: Disposal::Expunge },
        Action::Keep { side: Side::Remote, uids: uids("50") },
        Action::MovedOut { uids: uids("52"), to: name("Spam"), left_out: LeftOut::Always },
        Action::Forget { uids: uids("51") },
    ];
    let old = vec![
        Action::ResetMailbox,
        Action::Delete { side: Side::Remote, uids: uids("1"), disposal: Disposal::Trash },
        Action::RemoveMailbox { side: Side::Local },
        Action::ForgetMailbox,
    ];
    let mailboxes = [
        (MailboxName::inbox(), inbox),
        (name("Old"), old),
        (name("New"), vec![Action::RenameMailbox { side: Some(Side::Local), from: name("Former") }]),
        (name("Neu-Über"), vec![Action::CreateMailbox { side: Side::Remote }]),
    ];
    Plan { mailboxes: mailboxes.into(), ..Plan::default() }
}

/// Tells every event there is, and then that another account's run could not end well. In a real run the plan is
/// carried out but for what is refused and what fails.
pub fn tell(report: &dyn Report, run: Run, account: &str, odd: &Hostile) {
    let odd_text = &odd.0;
    let plan = plan(odd);
    let host = format!("imap.example.org:993{odd_text}");
    report.event(account, Event::Connected { host: &host, tier: &format!("QRESYNC{odd_text}") });
    report.event(account, Event::Observed { mailboxes: 20, changed: 3 });
    let refusal = Refusal {
        side: Side::Remote,
        mailbox: Some(MailboxName::inbox()),
        deletions: 20,
        of: 30,
        rest: Rest::Done,
        spared: BTreeSet::new(),
    };
    let refusals = [refusal];
    report.event(account, Event::Planned { plan: &plan, refusals: &refusals });
    if run == Run::Real {
        carry_out(report, account, &plan, &refusals);
    }
    let last = plan.mailboxes.keys().next_back().unwrap();
    let said = Error::new(Kind::Refused, "The server did not give the message")
        .server_said(format!("NO gone{odd_text}"))
        .hint(format!("Look at it with another client{odd_text}."));
    for item in [Item::Message(Uid::new(12).unwrap()), Item::File(FileId::new(format!("x{odd_text}"))), Item::Mailbox] {
        report.event(account, Event::Failed(&ItemFailure::new(last, item, &said)));
    }
    report.event(account, Event::Notice(&format!("The server says: be nice{odd_text}")));
    let (sent, received, commands, milliseconds) = (744, 18_999, 12, 349);
    let counts = if run == Run::Real { counts() } else { Counts::default() };
    let summary = Summary { counts, mailboxes: 20, messages: 19_500, sent, received, commands, milliseconds };
    report.event(account, Event::Finished(summary));
    report.event(&format!("home{odd_text}"), Event::Aborted(&said.at(format!("imap{odd_text}"))));
}

fn carry_out(report: &dyn Report, account: &str, plan: &Plan, refusals: &[Refusal]) {
    report.event(account, Event::Refused(&refusals[0]));
    report.event(account, Event::Progress(Progress::Expected { messages: 6, octets: 18_345 }));
    for (mailbox, action) in plan.actions().filter(|(mailbox, action)| !refuses(refusals, mailbox, action)) {
        report.event(account, Event::Progress(Progress::Octets(1)));
        let done = if *action == download() { 2 } else { action.messages().max(1) };
        let octets =
            if let Action::Download { octets, .. } | Action::Upload { octets, .. } = action { *octets } else { 0 };
        report.event(account, Event::Done { mailbox, action, done, octets });
        report.event(account, Event::Progress(Progress::Messages(1)));
    }
    for name in plan.mailboxes.keys() {
        report.event(account, Event::MailboxDone { mailbox: name, counts: counts() });
    }
}

fn counts() -> Counts {
    let local = SideCounts { new: 2, octets: 12_345, ..SideCounts::default() };
    let remote = SideCounts { new: 3, octets: 6000, flags: 7, mailboxes_created: 1, ..SideCounts::default() };
    Counts { local, remote, linked: 1, failed: 3 }
}
#[test]
fn no_renderer_lets_a_control_character_through() {
    use super::{Again, Format, Output, Verbosity, human::Human, json::Json, quiet::Quiet};
    let all: String = (0u8..0x20)
        .chain(0x7f..0xa0)
        .map(char::from)
        .filter(|c| !['\0', '\r', '\n'].contains(c))
        .chain("\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}".chars())
        .collect();
    let odd = Hostile(all.clone());
    let account = format!("work{all}\r\n\0");
    for run in [Run::Real, Run::Dry] {
        for verbosity in [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose] {
            for again in [Again::default(), Again::Url { words: vec![all.clone()] }] {
                let output = |format| Output { format, verbosity, run, again: again.clone() };
                let streams = [
                    rendered(|c| Human::new(c, output(Format::Human)), run, &account, &odd),
                    rendered(|c| Quiet::new(c, output(Format::Human)), run, &account, &odd),
                    rendered(|c| Json::new(c, output(Format::Json)), run, &account, &odd),
                ];
                for (out, err) in streams {
                    let bad = |c: char| c != '\n' && crate::error::is_hidden(c);
                    assert!(!out.contains(bad), "{out:?}");
                    assert!(!err.contains(bad), "{err:?}");
                }
            }
        }
    }
}
