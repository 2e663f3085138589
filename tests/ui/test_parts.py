"""The parts that pages are built of."""

import re

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import engines
from django.template.loader import render_to_string
from django.test import RequestFactory

from kvmweb.templatetags import kvmweb_ui as ui


def render(source: str, path: str = "/guests/?q=web&page=3", **context: object) -> str:
    template = engines["django"].from_string("{% load kvmweb_ui %}" + source)
    return template.render(context, RequestFactory().get(path))


@pytest.mark.parametrize(
    ("state", "css", "shape"),
    [
        ("running", "st-run", "s-run"),
        ("shutoff", "st-off", "s-off"),
        ("saved", "st-off", "s-saved"),
        ("paused", "st-pause", "s-pause"),
        ("crashed", "st-bad", "s-bad"),
        ("missing", "st-lost", "s-lost"),
        ("migrating", "st-busy", "s-busy"),
        ("", "st-lost", "s-lost"),
    ],
)
def test_a_state_is_colour_and_shape_and_word(state, css, shape):
    html = render('{% include "_state.html" with state=state label="The word" only %}', state=state)
    assert css in html
    assert f"#{shape}" in html
    assert "The word" in html
    assert 'aria-hidden="true"' in html


def test_a_running_job_turns_where_a_running_guest_is_a_disc():
    assert (ui.job_class("running"), ui.job_icon("running")) == ("st-busy", "s-busy")
    assert (ui.job_class("failed"), ui.job_icon("failed")) == ("st-bad", "s-fail")


@pytest.mark.parametrize(
    ("share", "css", "width"),
    [
        (None, "", "0.0"),
        (-3, "", "0.0"),
        (79.9, "", "79.9"),
        (80, "hi", "80.0"),
        (90, "max", "90.0"),
        (250, "max", "100.0"),
    ],
)
def test_a_usage_bar_warns_and_stays_within_its_track(share, css, width):
    html = render('{% include "_bar.html" with share=share only %}', share=share)
    assert f'<rect class="{css}" width="{width}"' in html


def test_memory_is_amber_only_when_nearly_full():
    assert ui.bar_class(94, "95,98") == ""
    assert ui.bar_class(96, "95,98") == "hi"


def test_names_are_escaped_wherever_they_are_shown():
    evil = '<img src=x onerror="alert(1)">'
    for source in (
        '{% include "_state.html" with state="running" label=evil only %}',
        '{% include "_badge.html" with text=evil title=evil only %}',
        '{% include "_empty.html" with title=evil what=evil only %}',
        '{% include "_facts.html" with facts=facts only %}',
        '{% include "_command_foot.html" with commands=facts only %}',
        '{% include "_confirm.html" with url="/x/" text=evil only %}',
    ):
        html = render(source, evil=evil, facts=[(evil, evil)])
        assert "<img" not in html, source
        assert "&lt;img" in html, source


def test_a_click_on_a_header_sorts_keeps_the_filter_and_starts_at_page_one():
    html = render('{% sort_header "name" "Name" %}')
    assert "q=web" in html
    assert "sort=name" in html
    assert "page" not in html
    assert "aria-sort" not in html


def test_a_second_click_turns_the_order_round():
    html = render('{% sort_header "name" "Name" "num" %}', path="/guests/?sort=name")
    assert 'aria-sort="ascending"' in html
    assert "sort=-name" in html
    assert 'aria-sort="descending"' in render('{% sort_header "name" "Name" %}', path="/guests/?sort=-name")


def test_the_pager_keeps_the_query_and_counts_with_separators():
    page = Paginator(range(1000), 25).get_page(3)
    html = render('{% include "_pager.html" %}', page=page, sizes=[25, 50, 100])
    assert "51–75 of 1,000" in html
    assert "Page 3 of 40" in html
    assert re.search(r'href="\?q=web&amp;page=2"', html)


def test_an_empty_list_has_no_pages():
    html = render('{% include "_pager.html" %}', page=Paginator([], 25).get_page(1))
    assert "nothing" in html
    assert "Page" not in html.replace('aria-label="Pages"', "")


class _Form(forms.Form):
    size = forms.IntegerField(label="Size", help_text="How large.", max_value=5)
    start = forms.BooleanField(label="Start it", required=False)
    pool = forms.ChoiceField(label="Pool", choices=[("a", "A")])
    net = forms.ChoiceField(label="Net", choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)


def test_a_field_has_a_label_help_and_an_error_that_screen_readers_find():
    form = _Form({"size": "9", "pool": "a", "net": "a"})
    form.is_valid()
    html = render('{% include "_form_field.html" with field=form.size unit="GiB" only %}', form=form)
    assert '<label class="fl" for="id_size">' in html
    described = re.search(r'aria-describedby="([^"]+)"', html)
    assert described
    for target in described[1].split():
        assert f'id="{target}"' in html
    assert 'aria-invalid="true"' in html
    assert "GiB" in html


def test_each_kind_of_control_has_its_look():
    form = _Form()
    assert 'class="form-control"' in ui.control(form["size"])
    assert 'class="form-select"' in ui.control(form["pool"])
    assert 'class="cb"' in ui.control(form["start"])
    assert "<fieldset" in render('{% include "_form_field.html" with field=form.net only %}', form=form)
    assert 'class="check"' in render('{% include "_form_field.html" with field=form.start only %}', form=form)


def test_a_question_is_a_page_without_script_and_a_fragment_for_the_dialog():
    request = RequestFactory().get("/guests/1/delete/", headers={"HX-Request": "true"})
    context = {
        "confirm_title": "Delete web-01",
        "confirm_button": "Delete web-01",
        "cancel_url": "/",
        "confirm_name": "web-01",
    }
    html = render_to_string("confirm.html", context, request=request)
    assert "<html" not in html
    assert 'hx-target="#dialog"' in html
    assert 'data-confirm-name="web-01"' in html
    assert html.index("data-cancel") < html.index("data-confirm-button")


def test_initials_and_hues_are_stable():
    assert ui.initials("lin.wei") == "lw"
    assert ui.initials("admin") == "ad"
    assert ui.tag_hue("prod") == ui.tag_hue("prod")
    assert {ui.tag_hue(f"tag-{n}") for n in range(40)} == {"t1", "t2", "t3", "t4"}


def test_a_spark_keeps_within_its_box_and_bridges_gaps():
    html = render("{% spark values 100 90 %}", values=[0, None, 50, 250])
    assert 'd="M0.0 17.0L37.3 9.0L56.0 1.0"' in html
    assert 'class="spark hot"' in html


@pytest.mark.parametrize("values", [[], [None], [5], [None, None]])
def test_a_spark_without_two_samples_is_empty(values):
    assert "<path" not in render("{% spark values %}", values=values)
