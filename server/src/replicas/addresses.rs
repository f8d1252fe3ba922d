use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Which of the addresses that a name server gives are used, and the number by which each is known.
///
/// Numbers are few, however many addresses come and go: at most twice as many as addresses are used at a time. An address
/// keeps its number as long as it is there; one that comes has the lowest that neither those of now nor those of just before
/// have, so that it is not taken for another.
#[derive(Debug)]
pub(super) struct Addresses {
    most: usize,
    numbers: BTreeMap<IpAddr, usize>,
}

impl Addresses {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, numbers: BTreeMap::new() }
    }

    /// Each address and its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, usize)> {
        self.numbers.iter().map(|(address, number)| (*address, *number))
    }

    /// Goes by what was found; whether that is a change.
    pub(super) fn follow(&mut self, found: impl IntoIterator<Item = IpAddr>) -> bool {
        // An IPv4 address may come as an IPv6 one.
        let found: BTreeSet<_> = found.into_iter().map(|address| address.to_canonical()).collect();
        let before = self.numbers.clone();
        self.numbers.retain(|address, _| found.contains(address));
        let taken: BTreeSet<_> = before.values().copied().collect();
        let mut free = (1..).filter(|number| !taken.contains(number));
        let room = self.most.saturating_sub(self.numbers.len());
        let new = found.into_iter().filter(|address| !before.contains_key(address));
        for (address, number) in new.take(room).zip(&mut free).collect::<Vec<_>>() {
            self.numbers.insert(address, number);
        }
        self.numbers != before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn known(addresses: &Addresses) -> Vec<(IpAddr, usize)> {
        addresses.iter().collect()
    }

    #[test]
    fn an_address_keeps_its_number_and_another_does_not_get_it_at_once() {
        let mut addresses = Addresses::new(4);
        assert!(addresses.follow([address(1), address(2)]));
        assert_eq!(known(&addresses), [(address(1), 1), (address(2), 2)]);

        assert!(addresses.follow([address(2), address(3)]));
        assert_eq!(known(&addresses), [(address(2), 2), (address(3), 3)]);

        assert!(addresses.follow([address(2), address(3), address(4)]));
        assert_eq!(known(&addresses), [(address(2), 2), (address(3), 3), (address(4), 1)]);
    }

    #[test]
    fn another_order_and_another_form_of_the_same_are_no_change() {
        let mut addresses = Addresses::new(4);
        addresses.follow([address(1), address(2)]);
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());

        assert!(!addresses.follow([address(2), address(1), mapped]));
        assert_eq!(known(&addresses).len(), 2);
    }

    proptest! {
        #[test]
        fn numbers_are_bounded_and_of_one_address_each_and_who_is_used_stays(
            most in 1_usize..5,
            course in prop::collection::vec(prop::collection::btree_set(0_u8..12, 0..10), 1..20),
        ) {
            let mut addresses = Addresses::new(most);
            let mut before: Vec<(IpAddr, usize)> = Vec::new();
            for found in course {
                let found: BTreeSet<_> = found.into_iter().map(address).collect();

                addresses.follow(found.iter().copied());

                let now = known(&addresses);
                prop_assert_eq!(now.len(), most.min(found.len()));
                let numbers: BTreeSet<_> = now.iter().map(|(_, number)| *number).collect();
                prop_assert_eq!(numbers.len(), now.len());
                prop_assert!(numbers.iter().all(|number| (1..=2 * most).contains(number)));
                for (address, number) in &before {
                    if found.contains(address) {
                        prop_assert!(now.contains(&(*address, *number)));
                    }
                    let other = now.iter().any(|(new, taken)| taken == number && new != address);
                    prop_assert!(!other);
                }
                before = now;
            }
        }
    }
}
