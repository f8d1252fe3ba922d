use std::collections::BTreeMap;

use http::Method;

use super::Judged;

/// What a request must be for a route: any of the hosts, below the path, any of the methods. An empty
/// list asks nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the three things that a route looks at")]
pub struct Rule {
    /// Exact names, and wildcards like `*.example.com`, which stand for one label or more.
    pub hosts: Vec<String>,
    /// Begins with `/`; a `/` at the end means nothing.
    pub path: String,
    /// Methods.
    pub methods: Vec<Method>,
}

/// The table of routes, as a pure function of host, path and method.
///
/// An exact host comes before a wildcard (the longest first), and that before none; within it the
/// longest path that ends at a segment boundary; within that the method.
#[derive(Debug, Default)]
pub struct Table {
    exact: BTreeMap<String, Paths>,
    /// The longest suffix first, each with its leading dot.
    wildcard: Vec<(String, Paths)>,
    any: Paths,
}

/// Routes by path, without the `/` at the end.
type Paths = BTreeMap<String, Vec<(Vec<Method>, usize)>>;

/// What the table says of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three answers that there are")]
pub enum Match {
    /// The rule of this index, counted from zero in the order in which the rules were given.
    Route(usize),
    /// The path is there, but only for other methods.
    OtherMethods {
        /// The index of the first rule that the path has.
        index: usize,
        /// The methods of all of them.
        methods: Vec<Method>,
    },
    /// No rule.
    Nothing,
}

/// Two rules that the same request could match equally well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "two indices and no more")]
pub struct Conflict {
    /// The one that was there.
    pub first: usize,
    /// The one that cannot be told from it.
    pub second: usize,
}

impl Table {
    /// A table of these rules.
    ///
    /// # Errors
    ///
    /// When two of them could match the same request equally well.
    pub fn new(rules: &[Rule]) -> Result<Self, Conflict> {
        let mut table = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            if rule.hosts.is_empty() {
                insert(&mut table.any, rule, index)?;
            }
            for host in &rule.hosts {
                let host = host.to_ascii_lowercase();
                insert(table.paths_of(&host), rule, index)?;
            }
        }
        table.wildcard.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        Ok(table)
    }

    fn paths_of(&mut self, host: &str) -> &mut Paths {
        let Some(suffix) = host.strip_prefix('*') else {
            return self.exact.entry(host.to_owned()).or_default();
        };
        let found = self.wildcard.iter().position(|(known, _)| known == suffix);
        let index = found.unwrap_or_else(|| {
            self.wildcard.push((suffix.to_owned(), Paths::new()));
            self.wildcard.len() - 1
        });
        // The index is one that was just found or made.
        match self.wildcard.get_mut(index) {
            Some((_, paths)) => paths,
            None => &mut self.any,
        }
    }

    /// The answer for a request.
    #[must_use]
    pub fn find(&self, host: &str, path: &Judged<'_>, method: &Method) -> Match {
        let host = host.strip_suffix('.').unwrap_or(host);
        let lower =
            host.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| host.to_ascii_lowercase());
        let host = lower.as_deref().unwrap_or(host);

        let exact = self.exact.get(host);
        let below = |suffix: &str| host.strip_suffix(suffix).is_some_and(|label| !label.is_empty());
        let wildcard =
            self.wildcard.iter().filter(|(suffix, _)| below(suffix)).map(|(_, paths)| paths);
        let tiers = exact.into_iter().chain(wildcard).chain([&self.any]);
        tiers
            .filter_map(|paths| look_up(paths, path.as_str(), method))
            .next()
            .unwrap_or(Match::Nothing)
    }
}

fn insert(paths: &mut Paths, rule: &Rule, index: usize) -> Result<(), Conflict> {
    let routes = paths.entry(rule.path.trim_end_matches('/').to_owned()).or_default();
    let overlap = |methods: &[Method]| {
        methods.is_empty() && rule.methods.is_empty()
            || methods.iter().any(|method| rule.methods.contains(method))
    };
    if let Some((_, first)) = routes.iter().find(|(methods, _)| overlap(methods)) {
        return Err(Conflict { first: *first, second: index });
    }
    routes.push((rule.methods.clone(), index));
    Ok(())
}

fn look_up(paths: &Paths, path: &str, method: &Method) -> Option<Match> {
    // Each shorter prefix that ends at a segment boundary, down to the empty one.
    let mut prefix = path.strip_suffix('/').unwrap_or(path);
    let routes = loop {
        if let Some(routes) = paths.get(prefix) {
            break routes;
        }
        prefix = prefix.rsplit_once('/')?.0;
    };
    // A route for this very method comes before one for any.
    let named = routes.iter().find(|(methods, _)| methods.contains(method));
    let found = named.or_else(|| routes.iter().find(|(methods, _)| methods.is_empty()));
    match (found, routes.first()) {
        (Some((_, index)), _) => Some(Match::Route(*index)),
        (None, Some((_, index))) => {
            let methods = routes.iter().flat_map(|(methods, _)| methods.clone()).collect();
            Some(Match::OtherMethods { index: *index, methods })
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(hosts: &[&str], path: &str, methods: &[Method]) -> Rule {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        Rule { hosts, path: path.to_owned(), methods: methods.to_vec() }
    }

    fn find(rules: &[Rule], host: &str, path: &str) -> Option<usize> {
        let table = Table::new(rules).unwrap();
        match table.find(host, &Judged::new(path).unwrap(), &Method::GET) {
            Match::Route(index) => Some(index),
            _ => None,
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment_boundary() {
        let rules = [rule(&[], "/prod", &[])];

        assert_eq!(find(&rules, "", "/prod"), Some(0));
        assert_eq!(find(&rules, "", "/prod/"), Some(0));
        assert_eq!(find(&rules, "", "/prod/x"), Some(0));
        assert_eq!(find(&rules, "", "/products/x"), None);
        assert_eq!(find(&rules, "", "/"), None);
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let rules = [rule(&[], "/", &[]), rule(&[], "/a/b/", &[]), rule(&[], "/a", &[])];

        assert_eq!(find(&rules, "", "/a/b/c"), Some(1));
        assert_eq!(find(&rules, "", "/a/c"), Some(2));
        assert_eq!(find(&rules, "", "/c"), Some(0));
    }

    #[test]
    fn an_exact_host_outranks_a_wildcard_and_that_none() {
        let rules = [
            rule(&[], "/", &[]),
            rule(&["*.example.com"], "/", &[]),
            rule(&["a.example.com"], "/", &[]),
            rule(&["*.b.example.com"], "/", &[]),
        ];

        assert_eq!(find(&rules, "a.example.com", "/"), Some(2));
        assert_eq!(find(&rules, "A.Example.COM.", "/"), Some(2));
        assert_eq!(find(&rules, "c.example.com", "/"), Some(1));
        assert_eq!(find(&rules, "c.b.example.com", "/"), Some(3));
        assert_eq!(find(&rules, "example.com", "/"), Some(0));
        assert_eq!(find(&rules, "evilexample.com", "/"), Some(0));
    }

    #[test]
    fn a_host_without_the_path_leaves_it_to_the_next() {
        let rules = [rule(&["a"], "/x", &[]), rule(&[], "/", &[])];

        assert_eq!(find(&rules, "a", "/y"), Some(1));
    }

    #[test]
    fn a_path_with_other_methods_names_them() {
        let rules = [
            rule(&[], "/a", &[Method::PUT]),
            rule(&[], "/a", &[Method::POST]),
            rule(&[], "/", &[]),
        ];
        let table = Table::new(&rules).unwrap();
        let find = |method| table.find("", &Judged::new("/a/b").unwrap(), &method);

        assert_eq!(find(Method::POST), Match::Route(1));
        let methods = vec![Method::PUT, Method::POST];
        assert_eq!(find(Method::GET), Match::OtherMethods { index: 0, methods });
    }

    #[test]
    fn a_route_for_the_method_outranks_one_for_all() {
        let rules = [rule(&[], "/", &[]), rule(&[], "/", &[Method::GET])];

        assert_eq!(find(&rules, "", "/"), Some(1));
    }

    #[test]
    fn rules_that_cannot_be_told_apart_are_a_conflict() {
        let same = [rule(&[], "/a", &[]), rule(&[], "/a/", &[])];
        let methods =
            [rule(&[], "/a", &[Method::GET]), rule(&[], "/a", &[Method::PUT, Method::GET])];
        let hosts = [rule(&["A", "b"], "/", &[]), rule(&["a"], "/", &[])];

        for rules in [same, methods, hosts] {
            assert_eq!(Table::new(&rules).unwrap_err(), Conflict { first: 0, second: 1 });
        }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_trying_every_rule(
            paths in proptest::collection::btree_set("(/[ab]{1,2}){0,3}", 1..6),
            path in "(/[ab]{1,2}){1,4}/?",
        ) {
            let rules: Vec<_> = paths.iter().map(|path| rule(&[], path, &[])).collect();
            let below = |rule: &Rule| path == rule.path || path.starts_with(&format!("{}/", rule.path));
            let best = rules.iter().enumerate().filter(|(_, rule)| below(rule)).max_by_key(|(_, rule)| rule.path.len());

            prop_assert_eq!(find(&rules, "", &path), best.map(|(index, _)| index));
        }
    }
}
