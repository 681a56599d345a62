//! What each kind of text in the configuration may be. A refusal says what would be right.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use serde::Deserializer;

use super::{
    network::Origin,
    service::LogFormat,
    urls::{BusUrl, StoreUrl},
    values,
};
use crate::telemetry::logs;

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    values::text(deserializer, |text| {
        text.parse().map_err(|_| {
            "must be an IP address and a port (0 to 65535), such as 0.0.0.0:8080 or [::1]:8080".to_owned()
        })
    })
}

pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    values::list(deserializer, |text| {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>()
            .or(single)
            .map_err(|_| "must be a network or an IP address, such as 10.0.0.0/16 or ::1".to_owned())
    })
}

pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Origin>, D::Error> {
    values::list(deserializer, Origin::parse)
}

pub(super) fn store_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreUrl, D::Error> {
    values::text(deserializer, StoreUrl::parse)
}

pub(super) fn bus_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BusUrl, D::Error> {
    values::text(deserializer, BusUrl::parse)
}

pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    values::text(deserializer, read_path)
}

pub(super) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    values::optional(deserializer, read_path)
}

pub(super) fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    values::text(deserializer, read_word)
}

pub(super) fn node_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    values::optional(deserializer, read_word)
}

pub(super) fn node_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    values::optional(deserializer, |text| {
        if text.len() > 255 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("must be 1 to 255 visible characters, such as 10.0.0.7:8080".to_owned());
        }
        Ok(text.to_owned())
    })
}

pub(super) fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    values::text(deserializer, |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    })
}

pub(super) fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    values::text(deserializer, |text| {
        logs::check_filter(text).map_err(|e| e.to_string())?;
        Ok(text.to_owned())
    })
}

fn read_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("must be a path".to_owned());
    }
    Ok(text.into())
}

fn read_word(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
        return Err("must be 1 to 64 of letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(text.to_owned())
}
