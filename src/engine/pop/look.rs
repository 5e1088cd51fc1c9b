//! What a session lists, who is who, and what follows: the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::door::Door;
use super::recover::not_delivered;
use super::{before, gone};
use crate::config::{Fetched, LocalDeletion, Pop3Account};
use crate::engine::Job;
use crate::error::{Error, Item, Result};
use crate::local::Store;
use crate::mail::{HeaderHash, HeaderHashScan, MessageNumber, Serial, ServerCopy, Uidl, UidlHash, UnixSeconds};
use crate::maildrop::{self, Headers, Ids, Input, Known, Listed, Next, Plan};
use crate::reconcile::guard::{Refusal, Rest};
use crate::reconcile::view::TreeAge;
use crate::remote::pop3::{Capability, Entry, Listing, MaildropSink, Session};
use crate::state::State;

/// What a plan is made from, beside the session.
pub(super) struct Sources<'a> {
    pub job: &'a Job<'a, Pop3Account>,
    pub store: Option<&'a Store>,
    pub state: Option<&'a State>,
    /// What is in the tree and not in the state.
    pub found: &'a Known,
    /// What another program fetched before the first run.
    pub fetched_before: &'a Fetched,
    pub age: TreeAge,
    /// Messages that the run has fetched already.
    pub fetched: u64,
    pub now: UnixSeconds,
}

/// What a session is about.
pub(super) struct Looked {
    /// What was known.
    pub known: Known,
    /// What is to be done; what the guard refuses is not in it.
    pub plan: Plan,
    /// What it refuses.
    pub refusals: Vec<Refusal>,
    /// Whether the lists told everything: only then is what is absent missing.
    pub is_whole: bool,
    /// What a person should know.
    pub notices: Vec<String>,
    /// Lines of the server's list that name no message: what they stand for cannot be fetched.
    pub unnamed: usize,
    /// When the session was listed.
    pub now: UnixSeconds,
    /// The messages, by number.
    pub entries: BTreeMap<MessageNumber, Entry>,
}

impl Looked {
    /// A message as a report names it.
    pub(super) fn item(&self, number: MessageNumber) -> Item {
        match self.entries.get(&number).and_then(|entry| entry.uidl.clone()) {
            Some(uidl) => Item::Uidl(uidl),
            None => Item::Number(number),
        }
    }
}

/// Opens a session, lists the maildrop, asks for the headers that it takes, and plans.
///
/// What is known is recalled while the session is being opened and listed; `connected` is told once it stands.
pub(super) fn look(
    sources: &Sources<'_>,
    door: &mut Door<'_>,
    connected: &(dyn Fn(&Session) + Sync),
) -> Result<(Session, Looked)> {
    let (visited, recalled) = std::thread::scope(|scope| {
        let visiting = scope.spawn(|| {
            let mut session = door.open()?;
            connected(&session);
            let listing = session.listing()?;
            Ok((session, listing))
        });
        let recalled = recall(sources);
        (visiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), recalled)
    });
    let Recalled { mut known, mut next, gone, failed } = recalled?;
    let (mut session, listing): (Session, Listing) = visited?;
    let account = sources.job.account;
    let (listed, ids) = (listed(&listing), ids(&listing));
    let failed: BTreeSet<MessageNumber> = failed_again(&listing, &failed);
    let before = before::recognise(sources.fetched_before, &listing, ids, &mut known, &mut next, sources.now);
    let mut planner =
        Planner { sources, known: &known, next, listed: &listed, ids, failed: &failed, headers: start(&session) };
    let mut plan = planner.plan(&mut session, &gone)?;
    let refusal = gone::refusal(account, &sources.job.allowed, &plan, &gone);
    match refusal.as_ref().map(|refusal| refusal.rest) {
        None => {}
        Some(Rest::Done) => plan = planner.plan(&mut session, &BTreeSet::new())?,
        Some(Rest::Waits) => plan = Plan { held: plan.held, next: plan.next, ..Plan::default() },
    }
    let looked = Looked {
        refusals: refusal.into_iter().collect(),
        is_whole: listing.is_whole(),
        notices: notices(account, &listing, before, undead(&plan, &known)),
        unnamed: listing.unnamed,
        plan,
        now: sources.now,
        entries: listing.entries.into_iter().map(|entry| (entry.number, entry)).collect(),
        known,
    };
    Ok((session, looked))
}

/// What is known before the server is heard.
struct Recalled {
    known: Known,
    next: Serial,
    /// Messages whose files somebody deleted.
    gone: BTreeSet<Serial>,
    /// What the last run could not fetch.
    failed: BTreeSet<Item>,
}

fn recall(sources: &Sources<'_>) -> Result<Recalled> {
    let account = sources.job.account;
    let (mut known, next, failed) = match sources.state {
        Some(state) => {
            let maildrop = state.maildrop()?;
            let failed = state.failures()?.into_iter().map(|unresolved| unresolved.failure.item).collect();
            (maildrop.known, maildrop.next, failed)
        }
        None => (Known::new(), Serial::FIRST, BTreeSet::new()),
    };
    known.extend(sources.found.iter().map(|(serial, found)| (*serial, found.clone())));
    let next = known.keys().next_back().map_or(next, |last| next.max(last.next()));
    let gone = match (sources.store, sources.age, account.local_deletion) {
        (Some(store), TreeAge::Older, _) => {
            for serial in gone::gone(account, store, &known)? {
                known.entry(serial).and_modify(|message| *message = not_delivered(message.clone()));
            }
            BTreeSet::new()
        }
        (Some(store), TreeAge::AsLeft, LocalDeletion::Repeated) => gone::gone(account, store, &known)?,
        (_, _, _) => BTreeSet::new(),
    };
    Ok(Recalled { known, next, gone, failed })
}

fn listed(listing: &Listing) -> Vec<Listed> {
    let of =
        |entry: &Entry| Listed { number: entry.number, size: entry.size, uidl: entry.uidl.as_ref().map(UidlHash::of) };
    listing.entries.iter().map(of).collect()
}

/// Those among the listed messages that failed before. Numbers without a unique id name others in each session.
fn failed_again(listing: &Listing, failed: &BTreeSet<Item>) -> BTreeSet<MessageNumber> {
    let is_one = |entry: &&Entry| entry.uidl.as_ref().is_some_and(|uidl| failed.contains(&Item::Uidl(uidl.clone())));
    listing.entries.iter().filter(is_one).map(|entry| entry.number).collect()
}

/// Servers without unique ids of their own say the numbers.
fn ids(listing: &Listing) -> Ids {
    let is_number =
        |entry: &Entry| entry.uidl.as_ref().map(Uidl::as_bytes) == Some(entry.number.to_string().as_bytes());
    let numbers = !listing.entries.is_empty() && listing.entries.iter().all(is_number);
    if numbers { Ids::Numbers } else { Ids::Proper }
}

fn start(session: &Session) -> Headers {
    match session.capabilities().is_disabled(Capability::Top) {
        true => Headers::Unavailable,
        false => Headers::Asked(BTreeMap::new()),
    }
}

/// How many messages go again that the server had confirmed as deleted.
fn undead(plan: &Plan, known: &Known) -> usize {
    let was_deleted = |serial: &&Serial| known.get(serial).is_some_and(|m| matches!(m.copy, ServerCopy::Deleted(_)));
    plan.delete.values().filter(was_deleted).count()
}

fn notices(account: &Pop3Account, listing: &Listing, before: u64, undead: usize) -> Vec<String> {
    let mut notices: Vec<String> = listing.odd.iter().map(|odd| format!("The server's list: {odd}")).collect();
    if let Some(by) = account.fetched_before.as_ref().filter(|_| before > 0).map(|file| file.by) {
        notices.push(format!("{before} of the messages were fetched by {by} before, and are not fetched again"));
    }
    if undead > 0 {
        notices.push(format!("The server lists {undead} messages again that it has confirmed as deleted"));
    }
    if !listing.is_whole() {
        notices.push("Nothing that is absent in this list counts as gone from the server".to_owned());
    }
    notices
}

struct Planner<'a> {
    sources: &'a Sources<'a>,
    known: &'a Known,
    next: Serial,
    listed: &'a [Listed],
    ids: Ids,
    /// Messages that the last run could not fetch.
    failed: &'a BTreeSet<MessageNumber>,
    headers: Headers,
}

impl Planner<'_> {
    fn plan(&mut self, session: &mut Session, gone: &BTreeSet<Serial>) -> Result<Plan> {
        loop {
            let next = maildrop::consider(&Input {
                known: self.known,
                next: self.next,
                listing: self.listed,
                ids: self.ids,
                headers: &self.headers,
                deleted_here: gone,
                policy: &self.sources.job.account.policy,
                failed: self.failed,
                fetched: self.sources.fetched,
                now: self.sources.now,
            });
            match next {
                Next::Plan(plan) => return Ok(plan),
                Next::Ask(numbers) => self.ask(session, &numbers)?,
            }
        }
    }

    fn ask(&mut self, session: &mut Session, numbers: &BTreeSet<MessageNumber>) -> Result<()> {
        let mut asked = match std::mem::replace(&mut self.headers, Headers::Unavailable) {
            Headers::Asked(asked) => asked,
            Headers::Unavailable => return Ok(()),
        };
        let numbers: Vec<MessageNumber> = numbers.iter().copied().collect();
        // Whatever the server does not say is unknown: it is asked for once.
        asked.extend(numbers.iter().map(|number| (*number, None)));
        let mut sink = HeaderSink { asked, scan: HeaderHashScan::default() };
        session.headers(&numbers, &mut sink)?;
        self.headers = Headers::Asked(sink.asked);
        Ok(())
    }
}

/// Hashes headers as they come.
struct HeaderSink {
    asked: BTreeMap<MessageNumber, Option<HeaderHash>>,
    scan: HeaderHashScan,
}

impl MaildropSink for HeaderSink {
    fn start(&mut self, _number: MessageNumber) -> Result<()> {
        self.scan = HeaderHashScan::default();
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<()> {
        self.scan.push(octets);
        Ok(())
    }

    fn done(&mut self, number: MessageNumber) -> Result<()> {
        self.asked.insert(number, std::mem::take(&mut self.scan).finish());
        Ok(())
    }

    fn refused(&mut self, number: MessageNumber, error: &Error) -> Result<()> {
        log::debug!("the header of {number}: {error}");
        Ok(())
    }
}
