//! Hostile and broken servers, each a named behaviour with its source: a clear error or a right result, nothing lost or
//! doubled, nothing let out.
//!
//! | file | what it has |
//! | --- | --- |
//! | `behaviour` | what a row is made of |
//! | `store`, `talk`, `answer`, `server` | a good server in memory, and what twists make of it |
//! | `driver` | synced mail, work on both sides, the hostile run twice, a good run, a quiet one |
//! | `promises` | what is demanded of every row |
//! | the others | the rows, a file a family |

mod answer;
mod append_copy;
mod behaviour;
mod driver;
mod fetch;
mod framing;
mod greeting;
mod list;
mod pop3;
mod promises;
mod providers;
mod refusals;
mod server;
mod store;
mod talk;
mod timing;
mod tls;
mod uids;

use behaviour::{Behaviour, MODERN, PLAIN, USUAL, row};
use driver::{run_all, run_waiting};

/// Every row of every family.
fn all() -> Vec<Behaviour> {
    let families = [
        tls::rows(),
        greeting::rows(),
        framing::rows(),
        fetch::rows(),
        uids::rows(),
        list::rows(),
        append_copy::rows(),
        refusals::rows(),
        timing::rows(),
        providers::rows(),
    ];
    families.into_iter().flatten().collect()
}

#[test]
fn the_base_server_is_a_good_one() {
    run_all([PLAIN, USUAL, MODERN].map(|capability| row(capability, "RFC 3501").speaks(capability)).into());
}

#[test]
fn there_are_enough_and_no_two_have_one_name() {
    let names: Vec<String> = all().into_iter().map(|row| row.name).chain(pop3::names()).collect();
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    eprintln!("{} behaviours", names.len());
    assert!(names.len() >= 300, "{}", names.len());
    assert!(all().iter().all(|row| row.source.len() > 3 && !row.must.exit.is_empty()));
    let sources = |name: &str| all().iter().any(|row| row.source.contains(name) || row.name.contains(name));
    let providers = [
        "Gmail",
        "Outlook",
        "Exchange",
        "Yahoo",
        "iCloud",
        "GMX",
        "Zimbra",
        "Courier",
        "Cyrus",
        "hMailServer",
        "Proton",
        "DavMail",
    ];
    for provider in providers {
        assert!(sources(provider), "{provider}");
    }
}

#[test]
fn rows_that_wait_for_a_quiet_server() {
    run_waiting(all());
}

#[test]
fn tls_rows() {
    run_all(tls::rows());
}

#[test]
fn greeting_rows() {
    run_all(greeting::rows());
}

#[test]
fn framing_rows() {
    run_all(framing::rows());
}

#[test]
fn fetch_rows() {
    run_all(fetch::rows());
}

#[test]
fn uid_rows() {
    run_all(uids::rows());
}

#[test]
fn list_rows() {
    run_all(list::rows());
}

#[test]
fn append_and_copy_rows() {
    run_all(append_copy::rows());
}

#[test]
fn refusal_rows() {
    run_all(refusals::rows());
}

#[test]
fn timing_rows() {
    run_all(timing::rows());
}

#[test]
fn provider_rows() {
    run_all(providers::rows());
}
