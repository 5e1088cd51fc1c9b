//! What of the state is on disk: facts wait and are written together, so a killed run loses the last of them.

use mailtide::mail::Fact;

use super::state::State;

/// The state as it was written last, and the transactions since.
#[derive(Debug)]
pub struct Journal {
    written: State,
    since: Vec<Vec<Fact>>,
}

impl Journal {
    pub fn begun(state: &State) -> Journal {
        Journal { written: state.clone(), since: Vec::new() }
    }

    pub fn begin(&mut self, facts: Vec<Fact>) {
        self.since.push(facts);
    }

    pub fn also(&mut self, fact: Fact) {
        match self.since.last_mut() {
            Some(last) => last.push(fact),
            None => self.since.push(vec![fact]),
        }
    }

    /// The state when the last `n` transactions never came to the disk.
    pub fn without_last(self, n: usize) -> State {
        let Journal { written: mut state, since } = self;
        let kept = since.len().saturating_sub(n);
        since.into_iter().take(kept).for_each(|facts| state.record_together(facts));
        state
    }
}
