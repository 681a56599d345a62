//! The page, as a browser's parser sees it.

use std::fs;

use load_tests::report::{self, Report};
use scraper::{Html, Selector};

use super::fixture;

fn page(report: &Report) -> (String, Html) {
    let folder = tempfile::tempdir().unwrap();
    let written = report::write(report, folder.path()).unwrap();
    let text = fs::read_to_string(written.html).unwrap();
    let page = Html::parse_document(&text);
    (text, page)
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let found = page.select(&selector);
    found
        .map(|element| element.text().collect::<String>().trim().to_owned())
        .collect()
}

#[test]
fn it_needs_nothing_beside_it() {
    let (text, page) = page(&fixture::report(1.0));
    for selector in [
        "link",
        "script[src]",
        "img",
        "iframe",
        "[onerror]",
        "[onload]",
        "base",
        "object",
    ] {
        assert!(texts(&page, selector).is_empty(), "{selector}");
    }
    for loading in ["url(", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!text.contains(loading), "{loading}");
    }
    assert!(page.errors.is_empty(), "{:?}", page.errors);
}

#[test]
fn all_that_comes_from_the_run_is_text() {
    let (_, page) = page(&fixture::report(1.0));
    assert_eq!(texts(&page, "script").len(), 1);
    assert!(texts(&page, "header b").is_empty());
    assert!(texts(&page, ".lead")[0].contains("& <b>nothing lost</b>"));
    assert!(texts(&page, ".about th code").contains(&"<script>".to_owned()));
    assert!(texts(&page, ".about td code").contains(&"</script><img src=x onerror=alert(1)>".to_owned()));
    assert!(texts(&page, ".events td").contains(&"i-0d4 <replaces> i-0b2".to_owned()));
}

#[test]
fn the_verdict_comes_first() {
    for (slower, verdict, failed) in [(1.0, "passed", 0), (3.0, "failed", 1)] {
        let (_, page) = page(&fixture::report(slower));
        assert_eq!(texts(&page, "header .verdict"), [verdict]);
        assert_eq!(texts(&page, ".checks li").len(), 3);
        assert_eq!(texts(&page, ".checks li.bad").len(), failed);
        assert_eq!(texts(&page, "main > section h2")[0], "What had to hold");
    }
    let mut nothing = fixture::report(1.0);
    nothing.checks.clear();
    assert_eq!(texts(&page(&nothing).1, "header .verdict"), ["measured"]);
}

#[test]
fn every_chart_has_its_lines_its_phases_its_marks_and_a_table() {
    let report = fixture::report(1.0);
    let (_, page) = page(&report);
    let charts: Vec<_> = page
        .select(&Selector::parse("figure[data-chart]").unwrap())
        .collect();
    assert_eq!(charts.len(), 7);
    let count = |chart: &scraper::ElementRef<'_>, selector: &str| {
        chart.select(&Selector::parse(selector).unwrap()).count()
    };
    for chart in &charts {
        let id = chart.attr("id").unwrap();
        let data: serde_json::Value = serde_json::from_str(chart.attr("data-chart").unwrap()).unwrap();
        let lines = data["lines"].as_array().unwrap().len();
        let drawn = count(chart, "path.line") + count(chart, "path.area");
        let label = chart
            .select(&Selector::parse("svg[role=img]").unwrap())
            .next()
            .unwrap();
        assert!(label.attr("aria-label").unwrap().contains("over time"), "{id}");
        assert!(lines > 0 && drawn == lines, "{id}: {drawn} of {lines} are drawn");
        assert_eq!(count(chart, "g.phase"), report.phases.len(), "{id}");
        assert_eq!(count(chart, "g.mark"), report.marks.len(), "{id}");
        assert!(count(chart, "details tbody tr") > 10, "{id}");
    }
    let connections = charts
        .iter()
        .find(|chart| chart.attr("id") == Some("chart-connections"))
        .unwrap();
    assert_eq!(count(connections, "path.area"), 4);
    assert!(charts.iter().all(|chart| !chart.html().contains("NaN")));
}

#[test]
fn an_empty_run_has_a_page_too() {
    let mut empty = fixture::report(1.0);
    empty.series.clear();
    empty.phases.clear();
    empty.marks.clear();
    empty.costs.clear();
    empty.latencies = load_tests::measure::Latencies::default();
    empty.run.seconds = 0.0;
    let (text, page) = page(&empty);
    assert!(!text.contains("NaN") && !text.contains("inf "));
    assert!(texts(&page, "figure").is_empty());
}
