"""Every kind of page, under one name."""

from __future__ import annotations

from histscan._core.pages.graphql_page import HistoryPage, SampledPage, TextPage
from histscan._core.pages.lines_page import LinesPage
from histscan._core.pages.page import Page
from histscan._core.pages.protobuf_page import ProtobufPage

__all__ = ["HistoryPage", "LinesPage", "Page", "ProtobufPage", "SampledPage", "TextPage"]
