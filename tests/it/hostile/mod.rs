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
mod promises;
mod refusals;
mod server;
mod store;
mod talk;
mod timing;
mod tls;
mod uids;

use behaviour::Behaviour;

macro_rules! families {
    ($($family:ident)*) => { $(
        mod $family {
            #[test]
            fn rows() { super::super::driver::run_all(super::super::$family::rows()); }
        }
    )* }
}
mod family { families! { tls greeting framing fetch uids list append_copy refusals timing } }

#[test]
fn the_base_server_is_a_good_one() {
    let rows = [behaviour::PLAIN, behaviour::USUAL, behaviour::MODERN]
        .map(|capability| behaviour::row(format!("good: {capability}"), "RFC 3501").speaks(capability));
    driver::run_all(rows.into());
}
