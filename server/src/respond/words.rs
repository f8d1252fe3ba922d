use http::header::HeaderValue;
use portcullis_refusal::Refused;
use serde::Serialize;

/// A problem document (RFC 9457). Its type is `about:blank`: the status says what kind of problem it
/// is (§4.2.1), and `reason` tells programs the rest.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    request_id: &'a str,
}

/// The refusal as `application/problem+json`.
pub(super) fn problem(refused: &Refused, id: &str) -> (HeaderValue, String) {
    let problem = Problem {
        r#type: "about:blank",
        title: refused.status().canonical_reason().unwrap_or("Refused"),
        status: refused.status().as_u16(),
        detail: refused.detail(),
        reason: refused.reason(),
        request_id: id,
    };
    // Strings and a number cannot fail to be JSON.
    let words = serde_json::to_string(&problem).unwrap_or_default();
    (HeaderValue::from_static("application/problem+json"), words)
}

/// The refusal as S3 would put it: by the code that is known, else by one that goes with the status.
pub(super) fn s3_error(
    refused: &Refused,
    code: Option<&str>,
    path: &str,
    id: &str,
) -> (HeaderValue, String) {
    let words = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{}</Code><Message>{}</Message><Resource>{}</Resource><RequestId>{}</RequestId></Error>",
        code.unwrap_or_else(|| s3_code(refused)),
        escaped(refused.detail()),
        escaped(path),
        escaped(id),
    );
    (HeaderValue::from_static("application/xml"), words)
}

/// The codes that S3's own error list has for these statuses.
fn s3_code(refused: &Refused) -> &'static str {
    match refused.status().as_u16() {
        401 | 403 => "AccessDenied",
        404 => "NoSuchKey",
        405 => "MethodNotAllowed",
        408 => "RequestTimeout",
        411 => "MissingContentLength",
        412 => "PreconditionFailed",
        413 => "EntityTooLarge",
        414 => "InvalidURI",
        416 => "InvalidRange",
        429 => "SlowDown",
        431 => "RequestHeaderSectionTooLarge",
        400..=499 => "InvalidRequest",
        501 => "NotImplemented",
        503 if refused.reason().starts_with("overloaded") => "SlowDown",
        502..=504 => "ServiceUnavailable",
        _ => "InternalError",
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // No control character is XML, in whatever encoding.
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use portcullis_refusal::{Dialect, Refusal};

    use super::*;

    fn refused(status: StatusCode) -> Refused {
        let response =
            Refusal::new(status, "a_reason", "a \"detail\" <b>").into_response(Dialect::Http, ());
        response.extensions().get::<Refused>().unwrap().clone()
    }

    #[test]
    fn a_problem_has_type_title_status_and_request_id() {
        let (content_type, words) = problem(&refused(StatusCode::NOT_FOUND), "id-1");

        assert_eq!(content_type, "application/problem+json");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&words).unwrap(),
            serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404,
                "detail": "a \"detail\" <b>", "reason": "a_reason", "request_id": "id-1",
            })
        );
    }

    #[test]
    fn clients_of_s3_find_the_codes_that_they_act_on() {
        for (status, code) in [
            (StatusCode::UNAUTHORIZED, "AccessDenied"),
            (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
            (StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge"),
            (StatusCode::TOO_MANY_REQUESTS, "SlowDown"),
            (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        ] {
            let (_, words) = s3_error(&refused(status), None, "/key", "id");

            assert!(words.contains(&format!("<Code>{code}</Code>")), "{status}: {words}");
        }
    }

    #[test]
    fn nothing_in_a_path_can_become_markup() {
        let (content_type, words) =
            s3_error(&refused(StatusCode::FORBIDDEN), None, "/a<Code>&'\"\u{1}", "id");

        assert_eq!(content_type, "application/xml");
        assert!(words.contains("<Code>AccessDenied</Code>"), "{words}");
        assert!(
            words.contains("<Resource>/a&lt;Code&gt;&amp;&apos;&quot;\u{fffd}</Resource>"),
            "{words}"
        );
        assert!(words.contains("<RequestId>id</RequestId>"), "{words}");
    }
}
