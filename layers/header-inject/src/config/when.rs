use http::StatusCode;

use super::{Scalar, header_name, many, parsed, source_name};
use crate::{Condition, Statuses};

/// When a rule acts.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    method: Option<Scalar>,
    status: Option<Scalar>,
    header: Option<Scalar>,
    no_header: Option<Scalar>,
    content_type: Option<Scalar>,
    known: Option<Scalar>,
}

impl When {
    pub(super) fn condition(self) -> Result<Condition, String> {
        let Self { method, status, header, no_header, content_type, known } = self;
        let mut condition = Condition::new();
        for method in many(method)? {
            condition = condition.method(parsed(method, "`method` needs a method like \"POST\"")?);
        }
        for status in many(status)? {
            let needed = "`status` needs a status like 404 or a class like \"4xx\"";
            let statuses: Statuses = match status {
                Scalar::Number(status) => {
                    StatusCode::from_u16(status).map_err(|_| needed.to_owned())?.into()
                }
                status => parsed(status, needed)?,
            };
            condition = condition.status(statuses);
        }
        for name in many(header)? {
            condition = condition.has(header_name("header", name)?);
        }
        for name in many(no_header)? {
            condition = condition.lacks(header_name("no_header", name)?);
        }
        for media_type in many(content_type)? {
            let needed = "`content_type` needs a type like \"text/html\" or \"text/*\"";
            condition = condition.content_type(parsed(media_type, needed)?);
        }
        for source in many(known)? {
            condition = condition.known(source_name("known", source)?);
        }
        if condition == Condition::new() {
            return Err(format!("`when` needs one of {CONDITIONS}"));
        }
        Ok(condition)
    }
}

const CONDITIONS: &str = "`method`, `status`, `header`, `no_header`, `content_type` and `known`";
