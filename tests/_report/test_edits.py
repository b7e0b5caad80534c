"""Units renamed and marked in the page: what is shown, what is saved, and what `tl.edit_units` makes of it."""

import json

import pytest

import modulae as mo

from .conftest import NASTY, Page

pytestmark = pytest.mark.browser
QUIET = {"device": "cpu", "progress": False}


def numbers(page, where):
    return page.locator(f"{where} .card .number").all_inner_texts()


def saved(page, tmp_path):
    with page.expect_download() as waiting:
        page.locator(".save-edits:visible").last.click()  # the large view is the last on the page
    assert waiting.value.suggested_filename == "edits.json"
    waiting.value.save_as(tmp_path / "edits.json")
    return json.loads((tmp_path / "edits.json").read_text(encoding="utf-8"))


def test_edits_of_the_page_are_saved_and_applied(halved, visit, tmp_path):
    adata, *chance = halved
    page = visit(mo.report(adata, tmp_path / "a.html", **QUIET))
    sure = numbers(page, "#cards")
    first, second = sure[:2]
    assert not page.locator("#edits").is_visible()
    assert not page.locator("#technical").is_visible()
    page.locator("#table summary").click()
    page.locator(f"#card-{first} .open").click()
    page.get_by_label("Its name").fill(f"  Interferon,  {NASTY} ")
    name = f"Interferon, {NASTY}"
    assert page.locator("#unit-title").inner_text().endswith(name)
    page.locator("#next").click()
    page.get_by_label("Its name").fill(name)
    assert f"Programme {first} has that name" in page.locator("#unit-problem").inner_text()
    page.get_by_label("Its name").fill("17")
    assert "A number" in page.locator("#unit-problem").inner_text()
    page.get_by_label("technical, not a finding").check()
    page.locator("#close").click()
    assert page.locator("#n-edits").inner_text() == "2 edits in this page only"
    assert page.locator(f"#card-{first} .name").inner_text() == name
    assert page.get_by_role("button", name=f"{first}: {name}").count() == 1  # in the table
    assert numbers(page, "#cards") == [unit for unit in sure if unit != second]
    assert numbers(page, "#technical") == [second]
    assert page.locator("#technical h3").first.inner_text() == "Marked as technical"
    edits = saved(page, tmp_path)
    assert edits["rename"] == {first: name}
    assert edits["technical"] == {second: True}
    mo.tl.edit_units(adata, edits=tmp_path / "edits.json")
    table = mo.get.unit_summary(adata)
    assert (table.loc[first, "name"], list(table.index[table["technical"]])) == (name, [second])
    mo.report(adata, tmp_path / "b.html", **QUIET)
    again = Page(tmp_path / "b.html")
    assert [unit["unit"] for unit in again.facts["units"]][-1] == second
    page = visit(tmp_path / "b.html")
    assert numbers(page, "#technical") == [second]
    assert numbers(page, "#chance") == [unit for unit in table.index if unit in chance]
    page.locator(f"#card-{second} .open").click()
    page.get_by_label("technical, not a finding").uncheck()
    assert saved(page, tmp_path)["technical"] == {second: False}
    page.get_by_label("technical, not a finding").check()
    assert page.locator(".save-edits:visible").count() == 0
    page.locator("#close").click()
    with pytest.warns(UserWarning, match="removed"):
        mo.tl.edit_units(adata, drop=[first])  # other units may have these numbers now
    with pytest.raises(ValueError, match="of another model, or of this one before units were merged"):
        mo.tl.edit_units(adata, edits=tmp_path / "edits.json")


def test_a_page_of_merged_units(halved, visit, tmp_path):
    adata, *chance = halved
    others = [str(unit) for unit in range(6) if str(unit) not in chance]
    with pytest.warns(UserWarning, match="removed"), pytest.warns(UserWarning, match="may be different programmes"):
        mo.tl.edit_units(adata, merge=[others[:2]], device="cpu")
    page = visit(mo.report(adata, tmp_path / "a.html", **QUIET))
    assert len(numbers(page, "#cards")) == 3  # what nobody looked for in halves is not called chance
    page.select_option("#order", "reproducibility")
    assert numbers(page, "#cards")[-1] == others[0]
    page.locator(f"#card-{others[0]} .open").click()
    assert "is not known" in page.locator("#unit-facts").inner_text()
