"""PROV-O as Turtle or TriG, by the packages `prov` and rdflib; with the direct triples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prov.model import ProvDocument

DIRECT = (
    ("used", "qualifiedUsage", "entity"),
    ("wasGeneratedBy", "qualifiedGeneration", "activity"),
    ("wasDerivedFrom", "qualifiedDerivation", "entity"),
    ("wasDerivedFrom", "qualifiedRevision", "entity"),
    ("wasAssociatedWith", "qualifiedAssociation", "agent"),
    ("wasAttributedTo", "qualifiedAttribution", "agent"),
    ("wasInformedBy", "qualifiedCommunication", "activity"),
)
"""The property of each relation for which `prov` writes a node instead, and what leads on from it.

A start has no direct property to the activity that started another; PROV-O's is to the trigger.
"""


def text(document: ProvDocument, rdf_format: str) -> str:
    """A document as `turtle` or `trig`, with the direct triples that plain SPARQL looks for."""
    from prov.serializers.provrdf import ProvRDFSerializer

    container: Any = ProvRDFSerializer(document).encode_document(document)
    for graph in list(container.graphs()) if hasattr(container, "graphs") else [container]:
        add_direct_triples(graph)
    return str(container.serialize(format=rdf_format))


def add_direct_triples(graph: Any) -> None:
    """State `?a prov:used ?e` where only a node of kind `prov:Usage` says so, and the like."""
    from rdflib import Namespace

    prov = Namespace("http://www.w3.org/ns/prov#")
    for direct, qualified, end in DIRECT:
        for subject, node in list(graph.subject_objects(prov[qualified])):
            for target in graph.objects(node, prov[end]):
                graph.add((subject, prov[direct], target))
