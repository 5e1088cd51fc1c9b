//! Mailtide keeps a local Maildir tree and a mail account the same.
//!
//! # One run
//!
//! ```text
//! lock → observe all mailboxes, both sides → reconcile (pure) → guard → execute → record facts → report
//! ```
//!
//! Observation comes first for *all* mailboxes, so that the plan sees the whole account at once and a dry run is the
//! same plan, printed. Only facts (one action, durably done) change the base; an interrupted run is a shorter run.
//!
//! # Words
//!
//! * **account**: a server login and the local tree that belongs to it. **mailbox**: a folder, on either side.
//! * **base**: the last agreed state, kept on disk. **local**, **remote**: what was observed in this run.
//! * **link**: one message known on both sides, (mailbox, UIDVALIDITY, UID) ⇄ local file.
//! * **plan**: sorted actions as plain data. **fact**: one action that is durably done.
//! * **intent**: written before an action whose outcome may stay unknown (an APPEND whose reply is lost).
//!
//! # Layers
//!
//! An arrow means "may use"; nothing points back, and the test `architecture` holds the code to it.
//!
//! ```text
//! main   → cli
//! cli    → config, engine, check, import, report, state, secret, mail, error, exit
//! check  → config, local, remote, state, secret, mail, error, exit
//! import → config, mail, error
//! engine → reconcile, maildrop, local, remote, state, report, config, secret, mail, error
//! report → reconcile, maildrop (the plans are printed), mail, error, exit
//! config → the option types of reconcile, maildrop, local, remote and secret; mail, error
//! local, state    → mail, error          never each other
//! remote          → mail, secret (the type), error
//! reconcile, maildrop → mail
//! secret          → error
//! error           → mail (identifiers)   stop, faults, error, exit: everyone
//! ```
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`mail`] | the vocabulary: identifiers, flags, UID sets, mailbox names, links, facts |
//! | [`reconcile`] | base + what was observed + policy → plan; pure. The guard that refuses a plan |
//! | [`maildrop`] | the same for POP3, one way: what is known + what a session lists + policy → plan; pure |
//! | [`local`] | the Maildir store: layouts, file names, scanning, durable delivery, keywords |
//! | [`remote`] | byte streams (TCP, TLS, deflate), the IMAP engine and the POP3 client on top of them |
//! | [`state`] | SQLite: the base, facts in, lock |
//! | [`engine`] | one run of one account: observe, execute, record |
//! | [`config`], [`secret`] | the TOML file and command line resolved into accounts; where passwords come from |
//! | [`report`] | events in, text or NDJSON out; the only place that prints |
//! | [`check`] | `mailtide check`: one finding a line, each with its fix |
//! | [`import`] | `mailtide import`: another tool's configuration in, a commented one of ours out |
//! | [`cli`] | one file a command |
//! | [`faults`] | the steps that tests let fail; nothing at all in a release |

pub mod check;
pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod exit;
pub mod faults;
pub mod import;
pub mod local;
pub mod mail;
pub mod maildrop;
pub mod reconcile;
pub mod remote;
pub mod report;
pub mod secret;
pub mod state;
pub mod stop;

#[cfg(test)]
mod tests;
