//! Accounts of groups of sessions: the cost and the open connections of each group. The number of
//! accounts is bounded.

use std::{collections::HashMap, time::Duration};

use super::{Cost, GroupKey, Groups, Limits};

/// The accounts of one server. A time is the duration since a fixed moment.
#[derive(Debug)]
pub(crate) struct Accounts {
    entries: HashMap<GroupKey, GroupAccount>,
    /// The account that all groups without an entry share.
    others: GroupAccount,
    rules: Rules,
}

/// The limits that the accounts are kept by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The most connections of one group.
    connections: usize,
    /// The most entries.
    entries: usize,
    /// How many sessions' worth of cost one group may have.
    allowance: f64,
    forgiven_per_second: f64,
    cost_hard: f64,
}

#[derive(Debug)]
struct GroupAccount {
    cost: Cost<Duration>,
    connections: usize,
    /// True once the log has an event about the delay of this group's requests.
    #[cfg(feature = "http")]
    is_logged: bool,
}

/// Why a further connection of a group is refused. The peer is sent this text.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(crate) enum OverLimit {
    #[error(
        "too many connections from where you are: {open} are open, and {limit} may be (`Groups::connections`). \
         Try again later"
    )]
    Connections { open: usize, limit: usize },

    #[error(
        "excessive resource usage: those where you are have cost {cost:.0}, and may cost {limit} (`cost_hard`). \
         Try again later"
    )]
    Cost { cost: f64, limit: f64 },
}

impl Rules {
    pub(crate) const fn new(groups: &Groups, limits: &Limits) -> Self {
        Self {
            connections: groups.connections,
            entries: groups.entries,
            allowance: groups.allowance,
            forgiven_per_second: limits.cost_forgiven_per_second,
            cost_hard: limits.cost_hard,
        }
    }
}

impl GroupAccount {
    const EMPTY: Self = Self {
        cost: Cost::new(),
        connections: 0,
        #[cfg(feature = "http")]
        is_logged: false,
    };

    /// Adds `amount` and returns the cost, scaled to compare with the cost of one session.
    fn charge(&mut self, amount: f64, rules: &Rules, now: Duration) -> f64 {
        // Stored as one session's share, so that it decays at the rate of a session.
        self.cost.add(amount / rules.allowance, rules.forgiven_per_second, now, |now, then| {
            now.saturating_sub(then)
        })
    }
}

impl Accounts {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { entries: HashMap::new(), others: GroupAccount::EMPTY, rules }
    }

    /// Counts a connection, or refuses it when the group is over its limits. Returns the key that
    /// the connection is counted under.
    pub(crate) fn connect(&mut self, key: GroupKey, now: Duration) -> Result<GroupKey, OverLimit> {
        let key = self.enter(key, now);
        let Rules { connections: limit, cost_hard, .. } = self.rules;
        let open = self.account(key).connections;
        let over = if open >= limit {
            Some(OverLimit::Connections { open, limit })
        } else if cost_hard < f64::INFINITY {
            let cost = self.charge(key, 0.0, now);
            (cost >= cost_hard).then_some(OverLimit::Cost { cost, limit: cost_hard })
        } else {
            None
        };
        match over {
            Some(over) => {
                // The entry may have been made just for this connection (a limit of 0 connections).
                self.forget_if_empty(key, now);
                Err(over)
            }
            None => Ok(self.count(key)),
        }
    }

    /// Counts a connection of an attached peer, which is never refused.
    pub(crate) fn attach(&mut self, key: GroupKey, now: Duration) -> GroupKey {
        let key = self.enter(key, now);
        self.count(key)
    }

    /// Uncounts a closed connection. The cost of the group stays.
    pub(crate) fn disconnect(&mut self, key: GroupKey, now: Duration) {
        let account = self.account(key);
        account.connections = account.connections.saturating_sub(1);
        self.forget_if_empty(key, now);
    }

    /// Adds to the cost of the group, and returns it, scaled to compare with the cost of one
    /// session.
    pub(crate) fn charge(&mut self, key: GroupKey, amount: f64, now: Duration) -> f64 {
        let rules = self.rules;
        self.account(key).charge(amount, &rules, now)
    }

    /// True the first time that the delay of this group's requests is to be logged, as long as the
    /// group has an entry.
    #[cfg(feature = "http")]
    pub(crate) fn is_first_logged(&mut self, key: GroupKey) -> bool {
        !std::mem::replace(&mut self.account(key).is_logged, true)
    }

    fn count(&mut self, key: GroupKey) -> GroupKey {
        self.account(key).connections += 1;
        key
    }

    fn account(&mut self, key: GroupKey) -> &mut GroupAccount {
        self.entries.get_mut(&key).unwrap_or(&mut self.others)
    }

    /// Makes an entry if there is none, and returns its key.
    fn enter(&mut self, key: GroupKey, now: Duration) -> GroupKey {
        if self.entries.contains_key(&key) {
            return key;
        }
        if self.entries.len() >= self.rules.entries {
            self.forget_cheapest(now);
        }
        if self.entries.len() >= self.rules.entries {
            return GroupKey::OTHERS;
        }
        self.entries.insert(key, GroupAccount::EMPTY);
        key
    }

    fn forget_if_empty(&mut self, key: GroupKey, now: Duration) {
        if self.account(key).connections == 0 && self.charge(key, 0.0, now) == 0.0 {
            self.entries.remove(&key);
        }
    }

    /// Evicts the cheapest entries without connections, a quarter of the bound at a time, so that
    /// the cost of the search is spread over many connections.
    fn forget_cheapest(&mut self, now: Duration) {
        let rules = self.rules;
        let mut idle: Vec<_> = self
            .entries
            .iter_mut()
            .filter(|(_, account)| account.connections == 0)
            .map(|(key, account)| (account.charge(0.0, &rules, now), *key))
            .collect();
        let many = (rules.entries / 4).max(1).min(idle.len());
        if many < idle.len() {
            idle.select_nth_unstable_by(many, |(one, _), (other, _)| one.total_cmp(other));
        }
        for (_, key) in &idle[..many] {
            self.entries.remove(key);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
