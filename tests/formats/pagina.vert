<doc docid="net-1" url="http://a" id="3" title="A">
<p>
<s>
Mais
de
uma
casa
<g/>
.
</s>
</p>
</doc>
