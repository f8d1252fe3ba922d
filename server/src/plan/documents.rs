//! What clients may read before they have a token: the metadata of protected resources (RFC 9728).

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_jwt_auth::{MetadataLayer, ResourceMetadata};

use crate::config::{Problem, Route, Spanned};
use crate::route::{BadPath, Judged, Rule};
use crate::telemetry::{Recorder, RouteMeters};

use super::{DocumentPlan, problem};

/// The documents that routes have named so far. Routes with the same one share it.
#[derive(Default)]
pub(super) struct Documents<'c>(Vec<Document<'c>>);

struct Document<'c> {
    metadata: &'c Spanned<ResourceMetadata>,
    key: String,
    /// As the table has it: decoded.
    path: String,
    hosts: BTreeSet<String>,
    /// Whether some of its routes have no host.
    anywhere: bool,
}

/// A document in the table, and where in the file it stands.
pub(super) struct Row<'c> {
    pub(super) metadata: &'c Spanned<ResourceMetadata>,
    pub(super) key: String,
    pub(super) rule: Rule,
    pub(super) plan: DocumentPlan,
}

impl<'c> Documents<'c> {
    /// Notes what a route says of itself, if anything: it is served at the hosts of the route.
    pub(super) fn note(&mut self, route: &'c Route, key: &str, problems: &mut Vec<Problem>) {
        let auth = route.jwt_auth.as_ref().map(Spanned::get_ref);
        let Some(metadata) = auth.and_then(|auth| auth.resource_metadata.as_ref()) else {
            return;
        };
        let known = self.0.iter().position(|known| known.metadata.get_ref() == metadata.get_ref());
        let index = known.unwrap_or_else(|| {
            let key = format!("{key}.jwt_auth.resource_metadata");
            let path = metadata.get_ref().path();
            let judged = Judged::new(&path).map(|judged| judged.as_str().to_owned());
            let path = judged.unwrap_or_else(|BadPath(message)| {
                problems.push(problem(&key, metadata, message));
                path
            });
            self.0.push(Document { metadata, key, path, hosts: BTreeSet::new(), anywhere: false });
            self.0.len() - 1
        });
        if let Some(document) = self.0.get_mut(index) {
            document.anywhere |= route.hosts.is_empty();
            let hosts = route.hosts.iter().map(|host| host.get_ref().to_ascii_lowercase());
            document.hosts.extend(hosts);
        }
    }

    /// A row for the hosts of each document, and one for any host.
    pub(super) fn rows(self, recorder: &Arc<Recorder>) -> Vec<Row<'c>> {
        let mut rows = Vec::new();
        for document in self.0 {
            let Document { metadata, key, path, hosts, anywhere } = document;
            let plan = DocumentPlan {
                meters: Arc::new(RouteMeters::new(&path, recorder).below(&path)),
                metadata: MetadataLayer::new(metadata.get_ref()),
            };
            let named = (!hosts.is_empty()).then(|| hosts.into_iter().collect());
            for hosts in named.into_iter().chain(anywhere.then(Vec::new)) {
                let rule = Rule { hosts, path: path.clone(), methods: Vec::new() };
                rows.push(Row { metadata, key: key.clone(), rule, plan: plan.clone() });
            }
        }
        rows
    }
}
