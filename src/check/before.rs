//! What another program fetched before the account's first run, as long as a run would read it.

use std::path::Path;

use super::Finding;
use crate::config::Pop3Account;
use crate::mail::Serial;
use crate::state::State;

const SUBJECT: &str = "fetched-before";

/// Reads the list as a run would.
pub(super) fn check(account: &Pop3Account, state_dir: &Path, put: &mut dyn FnMut(Finding)) {
    let Some(before) = &account.fetched_before else { return };
    let next = State::open_read_only(state_dir, &account.name)
        .and_then(|state| state.map_or(Ok(Serial::FIRST), |state| Ok(state.maildrop_outline()?.0)));
    // Once something is recorded nobody reads it; and a state that cannot be read has been told of.
    if !next.is_ok_and(|next| next == Serial::FIRST) {
        return;
    }
    let (host, user) = (&account.pop3.server.host, &account.pop3.user);
    put(match before.read(host, user) {
        Err(error) => Finding::error(SUBJECT, &error),
        Ok(fetched) if fetched.is_empty() => Finding::warn(
            SUBJECT,
            before.nothing(host, user),
            format!(
                "Name the file in which {} has this user and host, spelt as there; or take the line out.",
                before.by
            ),
        ),
        Ok(fetched) => {
            let path = before.path.display();
            Finding::ok(SUBJECT, format!("{path}: {} messages that {} has fetched", fetched.len(), before.by))
        }
    });
}
