//! What Redis pushes, turned into reports.

use actors::ports::{BusEvent, Topic};
use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};

use super::{Shared, connect::Inbox, interest::LinkId};

impl Inbox for Shared {
    fn pushed(&self, link: LinkId, info: PushInfo) {
        let PushInfo { kind, data } = info;
        let mut data = data.into_iter();
        let mut next_bytes = || match data.next() {
            Some(Value::BulkString(bytes)) => Some(bytes),
            _ => None,
        };
        match kind {
            PushKind::Message | PushKind::SMessage => {
                let topic = next_bytes().and_then(|channel| self.names.topic(&channel));
                if let (Some(topic), Some(payload)) = (topic, next_bytes()) {
                    self.reports.send(BusEvent::Frame {
                        topic,
                        payload: Bytes::from(payload),
                    });
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe => {
                if let Some(topic) = next_bytes().and_then(|channel| self.names.topic(&channel)) {
                    self.subscribed(topic, link);
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                if let Some(topic) = next_bytes().and_then(|channel| self.names.topic(&channel)) {
                    if self.interest.lock().unsubscribed(&topic, link) {
                        self.slots_moved();
                    }
                    self.changed.notify_one();
                }
            }
            PushKind::Disconnection => {
                self.lost_at(link, "Redis has closed the connection".into());
            }
            _ => {}
        }
    }
}

impl Shared {
    fn subscribed(&self, topic: Topic, link: LinkId) {
        let report = self.interest.lock().subscribed(&topic, link);
        if report {
            self.reports.send(BusEvent::Subscribed(topic));
        }
        self.changed.notify_one();
    }
}
