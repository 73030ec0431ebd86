"""A client of the Language Server Protocol plays an editor: pygls, which checks what it gets against the protocol's types.

    client.py KILN DIRECTORY utf-8|utf-16

All that goes over the wire is logged on standard error.
"""

import asyncio
import logging
import pathlib
import subprocess
import sys

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

TEXT = """\
# one makes it
FROM busybox:1.35 as one
ARG GREETING="𝄞 hello"
ENV WORD=$GREETING
COPY so
RUN echo $WORD > /word
FROM scratch
ADD file /
COPY --from=one /word /
CMD run
"""


class Editor:
    """A client with one document, whose text it keeps as editors do."""

    def __init__(self, directory, encoding):
        self.client = LanguageClient("editor", "1")
        self.directory = directory
        self.encoding = lsp.PositionEncodingKind(encoding)
        self.uri = (directory / "Dockerfile").as_uri()
        self.version = 1
        self.text = TEXT
        self.published = asyncio.Queue()

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params):
            self.published.put_nowait(params)

        @self.client.feature(lsp.CLIENT_REGISTER_CAPABILITY)
        def registered(params):
            return None

    async def start(self, kiln):
        await self.client.start_io(kiln, "lsp")
        document = lsp.TextDocumentClientCapabilities(
            publish_diagnostics=lsp.PublishDiagnosticsClientCapabilities(
                related_information=True,
                tag_support=lsp.ClientDiagnosticsTagOptions(value_set=list(lsp.DiagnosticTag)),
            ),
            hover=lsp.HoverClientCapabilities(content_format=[lsp.MarkupKind.Markdown]),
            document_symbol=lsp.DocumentSymbolClientCapabilities(hierarchical_document_symbol_support=True),
        )
        workspace = lsp.WorkspaceClientCapabilities(
            did_change_watched_files=lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
        )
        encodings = [self.encoding]
        if self.encoding == lsp.PositionEncodingKind.Utf16:
            encodings = None
        general = lsp.GeneralClientCapabilities(position_encodings=encodings)
        result = await self.client.initialize_async(
            lsp.InitializeParams(
                capabilities=lsp.ClientCapabilities(text_document=document, workspace=workspace, general=general),
                workspace_folders=[lsp.WorkspaceFolder(uri=self.directory.as_uri(), name="work")],
            )
        )
        assert result.capabilities.position_encoding == self.encoding, result
        self.client.initialized(lsp.InitializedParams())
        self.client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(
                lsp.TextDocumentItem(uri=self.uri, language_id="dockerfile", version=self.version, text=self.text)
            )
        )

    def units(self, text):
        if self.encoding == lsp.PositionEncodingKind.Utf8:
            return len(text.encode())
        return len(text.encode("utf-16-le")) // 2

    def place(self, word, after=0):
        """Where a word stands, so many characters in."""
        at = self.text.index(word) + after
        before = self.text[:at]
        line = before.count("\n")
        return lsp.Position(line, self.units(before[before.rfind("\n") + 1 :]))

    def offset(self, position):
        lines = self.text.split("\n")
        line = lines[position.line]
        column = next(n for n in range(len(line) + 1) if self.units(line[:n]) >= position.character)
        return sum(len(text) + 1 for text in lines[: position.line]) + column

    def at(self, word, after=0):
        return {"text_document": lsp.TextDocumentIdentifier(self.uri), "position": self.place(word, after)}

    def shown(self, range):
        return self.text[self.offset(range.start) : self.offset(range.end)]

    def apply(self, edits):
        """The edits in this text, and told to the server one after the other."""
        changes = []
        for edit in sorted(edits, key=lambda edit: self.offset(edit.range.start), reverse=True):
            start, end = self.offset(edit.range.start), self.offset(edit.range.end)
            self.text = self.text[:start] + edit.new_text + self.text[end:]
            changes.append(lsp.TextDocumentContentChangePartial(range=edit.range, text=edit.new_text))
        self.version += 1
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version), changes
            )
        )

    async def diagnostics(self):
        """Those of the text as it is now."""
        while True:
            params = await self.published.get()
            if params.version == self.version:
                return params.diagnostics

    async def actions(self, word, kinds):
        """What is offered for a line."""
        start = self.place(word)
        return await self.client.text_document_code_action_async(
            lsp.CodeActionParams(
                text_document=lsp.TextDocumentIdentifier(self.uri),
                range=lsp.Range(start, start),
                context=lsp.CodeActionContext(diagnostics=[], only=kinds),
            )
        )


async def play(kiln, directory, encoding):
    editor = Editor(directory, encoding)
    client, at = editor.client, editor.at
    await editor.start(kiln)

    found = {each.code: each for each in await editor.diagnostics()}
    assert editor.shown(found["DL1000"].range).startswith("so"), found
    assert found["FromAsCasing"].severity == lsp.DiagnosticSeverity.Warning, found
    assert all(each.code_description is None for each in found.values()), found

    items = (await client.text_document_completion_async(lsp.CompletionParams(**at("COPY so", 7)))).items
    (item,) = items
    assert (item.label, item.text_edit.new_text) == ("source/", "source/"), items
    editor.apply([item.text_edit])
    items = (await client.text_document_completion_async(lsp.CompletionParams(**at("COPY source/", 12)))).items
    assert [item.label for item in items] == ["main.c"], items
    end = editor.place("COPY source/", 12)
    editor.apply([lsp.TextEdit(lsp.Range(end, end), "main.c /to/")])
    found = {each.code for each in await editor.diagnostics()}
    assert "DL1000" not in found, found

    hover = await client.text_document_hover_async(lsp.HoverParams(**at("$WORD", 2)))
    assert "`WORD=𝄞 hello`, from line 4" in hover.contents.value, hover
    assert editor.shown(hover.range) == "WORD", hover
    hover = await client.text_document_hover_async(lsp.HoverParams(**at("--from=one", 8)))
    assert "makes it" in hover.contents.value and "used in 1 place" in hover.contents.value, hover
    # The store knows it: something was built from it.
    hover = await client.text_document_hover_async(lsp.HoverParams(**at("busybox", 2)))
    assert "`busybox:1.35`: " in hover.contents.value and "MB compressed" in hover.contents.value, hover
    hover = await client.text_document_hover_async(lsp.HoverParams(**at("RUN", 1)))
    assert "keeps what it changed" in hover.contents.value, hover

    definition = await client.text_document_definition_async(lsp.DefinitionParams(**at("--from=one", 9)))
    assert editor.shown(definition.range) == "one" and definition.range.start.line == 1, definition
    context = lsp.ReferenceContext(include_declaration=True)
    references = await client.text_document_references_async(lsp.ReferenceParams(context=context, **at("WORD=", 1)))
    assert [editor.shown(each.range) for each in references] == ["WORD", "WORD"], references

    prepared = await client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**at("as one", 4)))
    assert prepared.placeholder == "one", prepared
    renamed = await client.text_document_rename_async(lsp.RenameParams(new_name="first", **at("as one", 4)))
    editor.apply(renamed.changes[editor.uri])
    assert "as first\n" in editor.text and "--from=first " in editor.text, editor.text
    try:
        await client.text_document_rename_async(lsp.RenameParams(new_name="a b", **at("as first", 4)))
        raise AssertionError("`a b` is a name")
    except Exception as refused:
        assert "is no name for a stage" in str(refused), refused

    symbols = await client.text_document_document_symbol_async(
        lsp.DocumentSymbolParams(lsp.TextDocumentIdentifier(editor.uri))
    )
    assert [each.name for each in symbols] == ["first", "scratch"], symbols
    assert [each.name for each in symbols[0].children] == ["ARG", "ENV", "COPY", "RUN"], symbols
    folds = await client.text_document_folding_range_async(
        lsp.FoldingRangeParams(lsp.TextDocumentIdentifier(editor.uri))
    )
    assert [(fold.start_line, fold.end_line) for fold in folds] == [(1, 5), (6, 9)], folds

    (fix,) = await editor.actions("ADD file", [lsp.CodeActionKind.QuickFix])
    assert fix.diagnostics[0].code == "DL3020", fix
    editor.apply(fix.edit.changes[editor.uri])
    assert "COPY file /\n" in editor.text, editor.text
    (fix,) = await editor.actions("CMD run", [lsp.CodeActionKind.SourceFixAll])
    editor.apply(fix.edit.changes[editor.uri])
    assert " AS first\n" in editor.text and "CMD run\n" in editor.text, editor.text

    at_start = lsp.Position(0, 0)
    editor.apply([lsp.TextEdit(lsp.Range(at_start, at_start), "\n\n\n")])
    formatted = await client.text_document_formatting_async(
        lsp.DocumentFormattingParams(
            lsp.TextDocumentIdentifier(editor.uri), lsp.FormattingOptions(tab_size=4, insert_spaces=True)
        )
    )
    editor.apply(formatted)
    assert not editor.text.startswith("\n\n"), editor.text
    (directory / "formatted").write_text(editor.text)

    # What a stage weighs is known once it was built.
    hover = await client.text_document_hover_async(lsp.HoverParams(**at("AS first", 4)))
    assert "its steps added" not in hover.contents.value, hover
    subprocess.run([kiln, "build", "-q", "-f", "formatted", "."], cwd=directory, check=True, stdout=sys.stderr)
    hover = await client.text_document_hover_async(lsp.HoverParams(**at("AS first", 4)))
    assert "its steps added 11B" in hover.contents.value, hover

    await client.shutdown_async(None)
    client.exit(None)
    code = await asyncio.wait_for(client._server.wait(), 10)
    assert code == 0, f"the server ended with {code}"


def main():
    kiln, directory, encoding = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(message)s")
    asyncio.run(asyncio.wait_for(play(kiln, pathlib.Path(directory), encoding), 60))
    print("played")


main()
